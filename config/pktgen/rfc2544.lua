-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright(c) 2026 The VMQ authors
--
-- Throughput by RFC 2544 section 26.1: for each size of frame the greatest rate at which
-- no more than the tolerated part of the frames is lost, found by halving; and the
-- latency at parts of that rate, where Pktgen measures it.
--
--   VMQ_SIZES        sizes of frames with check sequence, default RFC 2544's for Ethernet
--   VMQ_TOLERANCE    part of the frames that may be lost, default 0
--   VMQ_RESOLUTION   the search ends when it is that near, in percent of the link,
--                    default 1
--   VMQ_LINK_GBITS   speed of the link as Pktgen sees it, default 10

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local vmq = dofile(here .. "vmq.lua")

-- RFC 2544 section 9.1.
local sizes = vmq.setting("VMQ_SIZES", "64,128,256,512,1024,1280,1518")
local tolerance = vmq.setting("VMQ_TOLERANCE", 0)
local resolution = vmq.setting("VMQ_RESOLUTION", 1)

local link_gbits = vmq.setting("VMQ_LINK_GBITS", 10)

local function passes(trial)
	return trial.sent > 0 and trial.lost <= trial.sent * tolerance
end

-- Returns the best trial that passed (or nil), the worst that did not (or nil), and how
-- many trials it took.
local function search()
	local low, high, rate = 0, 100, 100 -- the whole link may do
	local good, bad
	local count = 0

	while true do
		local trial = vmq.trial(rate)

		count = count + 1
		if passes(trial) then
			good, low = trial, rate
		else
			bad, high = trial, rate
		end
		if high - low <= resolution or low == 100 then
			return good, bad, count
		end
		rate = (low + high) / 2
	end
end

local function measure(size)
	local good, bad, count
	local result = {size = size, tolerance = tolerance, resolution = resolution}

	vmq.streams(size)
	good, bad, count = search()
	result.trials = count
	if good ~= nil then
		result.rate = good.rate
		result.mpps = good.received / good.seconds / 1e6
		-- With preamble and gap, as the link counts (RFC 2544 section 26.1).
		result.gbits = result.mpps * (size + 20) * 8 / 1000
		result.sent, result.lost = good.sent, good.lost
		-- A generator that does not reach the rate is what was measured.
		result.generator_limited = good.offered_mpps * (size + 20) * 8 / 1000 <
			0.95 * good.rate / 100 * link_gbits
	else
		result.mpps, result.gbits = 0, 0
	end
	if bad ~= nil then
		result.next_rate = bad.rate
		result.next_lost = bad.lost
		result.next_sent = bad.sent
		result.where = vmq.where_lost(bad)
	end
	vmq.report(result)
end

vmq.run(function()
	-- The first trial finds everything cold.
	vmq.streams(64)
	vmq.trial(1)
	for size in sizes:gmatch("%d+") do
		measure(tonumber(size))
	end
end)
