-- SPDX-License-Identifier: Apache-2.0
-- Argo CD's health check of a DeploymentIntent (resource.customizations.health in argocd-cm).
--   Healthy      the rollout would be admitted now
--   Suspended    a person, or a time, has to come first
--   Progressing  cabgate is at work on it
--   Degraded     waiting will not help: the evidence or the content has to change
local function health(status, message)
  return {status = status, message = message}
end

local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "cabgate's operator has not seen this content yet")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local ready, stalled = conditions.Ready, conditions.Stalled
if ready == nil then
  return health("Progressing", "cabgate's operator has not judged this content yet")
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", ready.message)
end

-- reasons: written by `make manifests` from core/cabgate/gate/checks
local waits = {
  ReviewPending = status.gate ~= "AutoApprove",
  ExceptionPending = true,
  OutsideWindow = true,
  Frozen = true,
  PreviousRingPending = true,
  AttestationMissing = true,
}
-- end of reasons
if waits[ready.reason] then
  return health("Suspended", ready.message)
end
return health("Progressing", ready.message)
