-- The schema of the Brownie Metadata Database. incidents has no index on
-- organization_id: the slow query that the demo's action mends.
CREATE TABLE organizations (
    id         bigint PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE teams (
    id              bigint PRIMARY KEY,
    organization_id bigint NOT NULL,
    name            text NOT NULL
);

CREATE TABLE users (
    id              bigint PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id         bigint NOT NULL,
    email           text NOT NULL
);

CREATE TABLE incidents (
    id              bigint PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id         bigint NOT NULL,
    reporter_id     bigint NOT NULL,
    title           text NOT NULL,
    status          text NOT NULL,
    severity        smallint NOT NULL,
    created_at      timestamptz NOT NULL,
    resolved_at     timestamptz
);

CREATE TABLE agent_configs (
    id              bigint PRIMARY KEY,
    organization_id bigint NOT NULL,
    name            text NOT NULL,
    config          jsonb NOT NULL
);
