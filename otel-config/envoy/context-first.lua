-- Puts the tracing context at the head of an HTTP/1.1 request, behind the request line and Host: whoever reads a few
-- bytes of the packet finds it there. Nothing else changes: every other header keeps its name, its value and its place
-- among the others. Runs as an upstream filter, behind the tracer, which writes the context last of all.

local CONTEXT = {
  ["traceparent"] = true,
  ["b3"] = true,
  ["x-b3-traceid"] = true,
  ["x-b3-spanid"] = true,
  ["x-b3-parentspanid"] = true,
  ["x-b3-sampled"] = true,
  ["x-b3-flags"] = true,
  ["uber-trace-id"] = true,
}

local COLON = 58

function envoy_on_request(request)
  local headers = request:headers()
  local others, is_behind = {}, false
  for name, value in pairs(headers) do
    if CONTEXT[name] then
      is_behind = is_behind or #others > 0
    elseif string.byte(name) ~= COLON then
      others[#others + 1] = {name, value}
    end
  end
  if not is_behind then
    return
  end
  -- Envoy adds at the end and cannot insert, so the others go and come again; a name takes all its headers with it.
  for _, header in ipairs(others) do
    headers:remove(header[1])
  end
  for _, header in ipairs(others) do
    headers:add(header[1], header[2])
  end
end
