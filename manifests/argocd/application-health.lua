-- How healthy an Application is for the one above it: only what it was last asked to apply counts, applied without an
-- error and healthy in itself. Until then it is in progress, and the waves behind it wait.

local function verdict(status, message)
  return { status = status, message = message or "" }
end

local status = obj.status
if status == nil or status.sync == nil or status.health == nil then
  return verdict("Progressing", "not compared yet")
end

-- A status may still speak of the revision before.
local wanted = obj.spec.source
local compared = status.sync.comparedTo ~= nil and status.sync.comparedTo.source or {}
if wanted ~= nil
    and (compared.repoURL ~= wanted.repoURL
      or compared.targetRevision ~= wanted.targetRevision
      or compared.path ~= wanted.path) then
  return verdict("Progressing", "not compared with the revision that is asked for yet")
end

-- What could not be compared or applied says so in a condition.
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "ComparisonError" or condition.type == "InvalidSpecError" then
    return verdict("Degraded", condition.message)
  end
end

-- Hooks, such as the Job that makes the buckets, are part of the operation and of no resource's health.
local operation = status.operationState
if operation ~= nil then
  if operation.phase == "Running" or operation.phase == "Terminating" then
    return verdict("Progressing", operation.message)
  end
  if operation.phase == "Failed" or operation.phase == "Error" then
    return verdict("Degraded", operation.message)
  end
end

if status.sync.status ~= "Synced" then
  return verdict("Progressing", "not in sync yet")
end
return verdict(status.health.status, status.health.message)
