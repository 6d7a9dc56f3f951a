-- SPDX-License-Identifier: BSD-3-Clause
-- Copyright(c) 2026 The VMQ authors
--
-- What the scripts here share. Pktgen's port 0 sends into vmqd's adapter; its other ports
-- are the other ends of the queues' backends. Settings come from the environment, so that a script is run as it is:
--
--   VMQ_VMS        VMs: VM n has MAC 52:54:00:00:HH:LL (n in hexadecimal) and VLAN n;
--                  default 8
--   VMQ_RECEIVE    Pktgen's ports that receive, as in "1" or "1,2,3"; default 1
--   VMQ_TAGGED     1: frames carry the VM's VLAN tag (default), with up to 16 VMs; 0: none
--   VMQ_COUNTERS   command that prints vmqd's statistics as JSON;
--                  default "vmqctl stats --json"; empty: none are read
--   VMQ_RESULT     file to which each result is added, one JSON object a line; default
--                  none: they are printed
--   VMQ_TRIAL_MS   length of a trial in milliseconds, default 2000
--
-- What each script reads beside these stands at its beginning.

local vmq = {SEND = "0"}

function vmq.setting(name, default)
	local value = os.getenv(name)

	if value == nil then
		return default
	end
	if type(default) ~= "number" then
		return value
	end
	return tonumber(value) or error(name .. ": a number is needed, not \"" .. value .. "\"")
end

vmq.RECEIVE = vmq.setting("VMQ_RECEIVE", "1")
vmq.vms = vmq.setting("VMQ_VMS", 8)
vmq.tagged = vmq.setting("VMQ_TAGGED", 1) == 1
vmq.trial_ms = vmq.setting("VMQ_TRIAL_MS", 2000)
vmq.counters = vmq.setting("VMQ_COUNTERS", "vmqctl stats --json")
vmq.result = vmq.setting("VMQ_RESULT", "")

-- Packets on their way when a trial ends: RFC 2544 section 23 waits two seconds. Less than
-- one and a half is too short for Pktgen: it reads its ports' counters once a second.
vmq.settle_ms = vmq.setting("VMQ_SETTLE_MS", 2000)

local function mac_of(vm)
	return string.format("52:54:00:00:%02x:%02x", vm // 256, vm % 256)
end

-- Pktgen's sequences: as many frames as it can send in turn, each its own.
local SEQUENCES = 16

local function sequences(size)
	local port = vmq.SEND

	for vm = 1, vmq.vms do
		pktgen.seqTable(vm - 1, port, {
			eth_dst_addr = mac_of(vm), eth_src_addr = "02:00:00:00:00:01",
			-- Addresses for benchmarks: RFC 2544, appendix C.
			ip_dst_addr = "198.19.0.1", ip_src_addr = "198.18.0.1/24",
			sport = 10000, dport = 10000, ethType = "ipv4", ipProto = "udp",
			vlanid = vm, pktSize = size, cos = 0, tos = 0, gtpu_teid = 0})
	end
	pktgen.set(port, "seq_cnt", vmq.vms)
end

local function range(size)
	local range, port = pktgen.range, vmq.SEND

	local function set(field, start, step, last)
		range[field](port, "start", start)
		range[field](port, "inc", step)
		range[field](port, "min", start)
		range[field](port, "max", last)
	end

	set("dst_mac", mac_of(1), "00:00:00:00:00:01", mac_of(vmq.vms))
	set("src_mac", "02:00:00:00:00:01", "00:00:00:00:00:00", "02:00:00:00:00:01")
	set("src_ip", "198.18.0.1", "0.0.0.0", "198.18.0.1")
	set("dst_ip", "198.19.0.1", "0.0.0.0", "198.19.0.1")
	set("src_port", 10000, 0, 10000)
	set("dst_port", 10000, 0, 10000)
	set("pkt_size", size, 0, size)
	pktgen.set_proto(port, "udp")
	pktgen.set_range(port, "on")
end

-- One stream for each VM, in turn, of frames of that size (with check sequence). Up to 16
-- VMs each have MAC and VLAN. More are told apart by MAC alone and are untagged: in a range
-- Pktgen 23.03 steps MAC and VLAN apart, and they no longer belong together.
function vmq.streams(size)
	local tagged = vmq.tagged and vmq.vms <= SEQUENCES

	assert(vmq.vms >= 1 and vmq.vms <= 65535, "VMQ_VMS: 1 to 65535")
	pktgen.set(vmq.SEND, "seq_cnt", 0)
	pktgen.set_range(vmq.SEND, "off")
	pktgen.vlan(vmq.SEND, tagged and "enable" or "disable")
	if vmq.vms <= SEQUENCES then
		sequences(size)
	else
		range(size)
	end
	pktgen.set(vmq.SEND, "count", 0)
end

-- Untagged frames of that size to VM 1.
function vmq.one_stream(size)
	local port = vmq.SEND

	pktgen.set(port, "seq_cnt", 0)
	pktgen.set_range(port, "off")
	pktgen.vlan(port, "disable")
	pktgen.set_mac(port, "dst", mac_of(1))
	pktgen.set_mac(port, "src", "02:00:00:00:00:01")
	pktgen.set_ipaddr(port, "src", "198.18.0.1/24")
	pktgen.set_ipaddr(port, "dst", "198.19.0.1")
	pktgen.set_proto(port, "udp")
	pktgen.set(port, "size", size)
	pktgen.set(port, "count", 0)
end

-- The number with that name in a piece of JSON, 0 if it is not there.
local function number_in(json, name)
	return tonumber(json:match('"' .. name .. '":%s*(%d+)')) or 0
end

-- vmqd's counters: {received, missed} of its NIC; {received, delivered, dropped} of its
-- queues; unclaimed: what came to default queues; drops by reason. nil without VMQ_COUNTERS.
function vmq.read_counters()
	local pipe, json, last, found

	if vmq.counters == "" then
		return nil
	end
	pipe = io.popen(vmq.counters)
	json = pipe:read("a")
	assert(pipe:close() and #json > 0, "no statistics from: " .. vmq.counters)
	-- Of a file of statistics the last line counts.
	for line in json:gmatch("[^\n]+") do
		if line:find('"queues"', 1, true) then
			last = line
		end
	end
	json = last or json:gsub("\n", " ")
	found = {nic_received = 0, nic_missed = 0, received = 0, delivered = 0, dropped = 0,
		unclaimed = 0, drops = {}}
	for nic in json:gmatch('"nic":%s*(%b{})') do
		found.nic_received = found.nic_received + number_in(nic, "received")
		found.nic_missed = found.nic_missed + number_in(nic, "missed")
	end
	for queue in (json:match('"queues":%s*(%b[])') or ""):gmatch("%b{}") do
		if number_in(queue, "id") == 0 then
			found.unclaimed = found.unclaimed + number_in(queue, "received")
		end
		for _, name in ipairs({"received", "delivered", "dropped"}) do
			found[name] = found[name] + number_in(queue, name)
		end
		for reason, count in (queue:match('"drops":%s*(%b{})') or ""):gmatch(
			'"([%w_]+)":%s*(%d+)') do
			found.drops[reason] = (found.drops[reason] or 0) + tonumber(count)
		end
	end
	return found
end

local function ports()
	local stats = pktgen.portStats(vmq.SEND .. "," .. vmq.RECEIVE, "port")
	local received = 0

	for port in vmq.RECEIVE:gmatch("%d+") do
		received = received + stats[tonumber(port)].ipackets
	end
	return {sent = stats[tonumber(vmq.SEND)].opackets, received = received}
end

local function difference(before, after)
	local result = {}

	for name, value in pairs(after) do
		if type(value) == "table" then
			result[name] = difference(before[name] or {}, value)
		else
			result[name] = value - (before[name] or 0)
		end
	end
	return result
end

-- Send at a rate, in percent of the link, for the time of a trial.
-- Returns {sent, received, lost, vmqd = counters or nil, seconds}.
function vmq.trial(rate)
	local counters, before = vmq.read_counters(), ports()
	local result

	pktgen.set(vmq.SEND, "rate", rate)
	pktgen.start(vmq.SEND)
	pktgen.delay(vmq.trial_ms)
	pktgen.stop(vmq.SEND)
	pktgen.delay(vmq.settle_ms)
	result = difference(before, ports())
	result.lost = result.sent - result.received
	result.rate = rate
	result.offered_mpps = result.sent / vmq.trial_ms / 1000
	result.seconds = vmq.trial_ms / 1000
	if counters ~= nil then
		result.vmqd = difference(counters, vmq.read_counters())
	end
	return result
end

-- Where packets of a trial were lost, in words.
function vmq.where_lost(trial)
	local places, nic = {}, nil

	local function add(count, where)
		if count > 0 then
			places[#places + 1] = string.format("%d %s", count, where)
		end
	end

	if trial.vmqd == nil then
		add(trial.lost, "somewhere: vmqd's counters were not read")
		return table.concat(places, ", ")
	end
	nic = trial.vmqd.nic_received
	add(trial.sent - nic - trial.vmqd.nic_missed, "between generator and NIC")
	add(trial.vmqd.nic_missed, "in the NIC: its ring was full")
	for reason, count in pairs(trial.vmqd.drops) do
		add(count, "in the queues: " .. reason)
	end
	add(trial.vmqd.unclaimed, "in the default queue: no filter claimed them")
	add(trial.vmqd.delivered - trial.vmqd.unclaimed - trial.received, "behind the backends")
	return table.concat(places, ", ")
end

local function json_of(value)
	local parts = {}

	if type(value) == "string" then
		return string.format("%q", value)
	end
	if type(value) ~= "table" then
		return tostring(value)
	end
	if #value > 0 then
		for _, one in ipairs(value) do
			parts[#parts + 1] = json_of(one)
		end
		return "[" .. table.concat(parts, ",") .. "]"
	end
	for name, one in pairs(value) do
		parts[#parts + 1] = string.format('"%s":%s', name, json_of(one))
	end
	table.sort(parts)
	return "{" .. table.concat(parts, ",") .. "}"
end

function vmq.report(result)
	local line = json_of(result)
	local file

	if vmq.result == "" then
		print(line)
		return
	end
	file = assert(io.open(vmq.result, "a"))
	file:write(line, "\n")
	file:close()
end

-- Run a script's main function and end Pktgen, whatever happens.
function vmq.run(main)
	local good, message

	pktgen.screen("off")
	good, message = pcall(main)
	if not good then
		vmq.report({error = tostring(message)})
	end
	pktgen.stop("all")
	pktgen.quit()
end

return vmq
