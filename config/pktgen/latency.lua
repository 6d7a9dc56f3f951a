-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright(c) 2026 The VMQ authors
--
-- Latency from Pktgen's port 0 through vmqd to its port 1, at several rates: Pktgen sends
-- a frame with a time stamp every millisecond and takes it when it comes back. It finds
-- the stamp in untagged frames only: VM 1 needs a filter for its MAC and "untagged".
--
--   VMQ_SIZE    bytes of a frame with its check sequence, default 128
--   VMQ_RATES   percent of the link, default 1,10,50

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local vmq = dofile(here .. "vmq.lua")

vmq.run(function()
	local both = vmq.SEND .. "," .. vmq.RECEIVE
	local size = vmq.setting("VMQ_SIZE", 128)
	local result, latency

	vmq.one_stream(size)
	for rate in vmq.setting("VMQ_RATES", "1,10,50"):gmatch("[%d.]+") do
		pktgen.clear("all")
		pktgen.latency(both, "enable")
		result = vmq.trial(tonumber(rate))
		latency = pktgen.pktStats(both)[tonumber(vmq.RECEIVE:match("%d+"))].latency
		pktgen.latency(both, "disable")
		result.size = size
		result.latency = {packets = latency.num_pkts, min_us = latency.min_us,
			max_us = latency.max_us}
		result.where = vmq.where_lost(result)
		vmq.report(result)
	end
end)
