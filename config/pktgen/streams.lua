-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright(c) 2026 The VMQ authors
--
-- One stream for each VM at a fixed rate, and where each packet went.
--
--   VMQ_SIZE   bytes of a frame with its check sequence, default 64
--   VMQ_RATE   percent of the link, default 10

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local vmq = dofile(here .. "vmq.lua")

vmq.run(function()
	local result

	vmq.streams(vmq.setting("VMQ_SIZE", 64))
	result = vmq.trial(vmq.setting("VMQ_RATE", 10))
	result.where = vmq.where_lost(result)
	vmq.report(result)
end)
