-- wrk script: every request has a traceparent with new ids, a share of them sampled. Tells latencies at the end.
-- Arguments: percent sampled, pause in ms after each response of a connection (0: none), seed, byte of the context.
local threads = 0

function setup(thread)
   threads = threads + 1
   thread:set("number", threads)
end

function init(args)
   percent = tonumber(args[1])
   local pause = tonumber(args[2])
   math.randomseed(tonumber(args[3]) * 64 + number)
   local run = string.format("%08x%08x", math.random(1, 0x7fffffff), math.random(1, 0x7fffffff))
   local before = "GET /cart HTTP/1.1\r\nHost: cart\r\nAccept: */*\r\nx-padding: "
   -- The context begins at the same byte as in the packets of PROG_TEST_RUN.
   local padding = string.rep("a", tonumber(args[4]) - #before - 2)
   head = before .. padding .. "\r\ntraceparent: 00-" .. run
   sent = 0
   if pause > 0 then
      delay = function() return pause end
   end
end

function request()
   sent = sent + 1
   local flags = sent % 100 < percent and "-01" or "-00"
   return head .. string.format("%016x-%016x", sent, sent) .. flags .. "\r\n\r\n"
end

function done(summary, latency)
   for _, share in ipairs({50, 90, 99, 99.9}) do
      io.write(string.format("latency %g %d us\n", share, latency:percentile(share)))
   end
end
