-- Made after the rows are loaded, which is faster than checking each row.
CREATE UNIQUE INDEX users_email ON users (email);
CREATE INDEX users_organization ON users (organization_id);
CREATE INDEX teams_organization ON teams (organization_id);
CREATE INDEX agent_configs_organization ON agent_configs (organization_id);

ALTER TABLE teams ADD FOREIGN KEY (organization_id) REFERENCES organizations;
ALTER TABLE users ADD FOREIGN KEY (organization_id) REFERENCES organizations;
ALTER TABLE users ADD FOREIGN KEY (team_id) REFERENCES teams;
ALTER TABLE incidents ADD FOREIGN KEY (organization_id) REFERENCES organizations;
ALTER TABLE incidents ADD FOREIGN KEY (team_id) REFERENCES teams;
ALTER TABLE incidents ADD FOREIGN KEY (reporter_id) REFERENCES users;
ALTER TABLE agent_configs ADD FOREIGN KEY (organization_id) REFERENCES organizations;
