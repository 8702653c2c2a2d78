-- The queries of the scaling runbook, section 7, and those behind its service.
-- Their parameters are drawn from the database, so that the suite runs on any
-- data of the schema and measures organisations of four sizes.

-- name: org_incidents
-- params: organizations of incidents.organization_id
SELECT * FROM incidents WHERE organization_id = $1;

-- name: newest_incidents
-- params: organizations of incidents.organization_id
-- weight: 10
SELECT id, title, status, created_at FROM incidents
WHERE organization_id = $1 ORDER BY created_at DESC LIMIT 20;

-- name: user_by_email
-- params: from SELECT 'any', email FROM users ORDER BY id
-- params:   OFFSET (SELECT count(*) / 2 FROM users) LIMIT 1
-- weight: 10
SELECT * FROM users WHERE email = $1;

-- The runbook counts the week back from now(), so that its rows change with the
-- clock; this one counts from the newest incident, so that they don't.
-- name: recent_incidents
-- params: from SELECT 'week', max(created_at) - interval '7 days' FROM incidents
SELECT i.*, o.name AS org_name
FROM incidents i
JOIN organizations o ON i.organization_id = o.id
WHERE i.created_at > $1;

-- name: organizations_of_a_range
-- params: from SELECT 'upper', percentile_disc(0.5) WITHIN GROUP (ORDER BY id), max(id) FROM organizations
SELECT id, name FROM organizations WHERE id BETWEEN $1 AND $2 ORDER BY id;

-- name: incidents_of_a_range
-- params: from SELECT 'upper', percentile_disc(0.5) WITHIN GROUP (ORDER BY id), max(id) FROM organizations
SELECT count(*) FROM incidents WHERE organization_id BETWEEN $1 AND $2;
