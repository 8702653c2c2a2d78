package shard

import (
	"strings"
	"testing"
)

// A row's organisation may be told by a trigger of the table's own, which fires behind
// the fence's by its name, or be computed from other columns.
func TestTheFenceSeesWhatTriggersMakeOfARow(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	s.exec("source", `CREATE TABLE organizations (id bigint PRIMARY KEY);
		INSERT INTO organizations SELECT generate_series(1, 3);
		CREATE TABLE users (id bigint PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations);
		INSERT INTO users SELECT i, i FROM generate_series(1, 3) i;
		CREATE TABLE incidents (id bigserial PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, organization_id bigint NOT NULL REFERENCES organizations);
		CREATE FUNCTION of_user() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.organization_id := (SELECT organization_id FROM public.users WHERE id = NEW.user_id); RETURN NEW; END $$;
		CREATE TRIGGER set_organization BEFORE INSERT OR UPDATE ON incidents FOR EACH ROW EXECUTE FUNCTION of_user();
		INSERT INTO incidents (user_id) SELECT i FROM generate_series(1, 3) i;
		CREATE TABLE events (id bigserial PRIMARY KEY, body jsonb NOT NULL, organization_id bigint GENERATED ALWAYS AS ((body ->> 'organization')::bigint) STORED);
		INSERT INTO events (body) SELECT jsonb_build_object('organization', i) FROM generate_series(1, 3) i`)
	j := s.job(s.plainConfig(Fenced, 1, 2))
	must[*MoveResult](t)(j.Move(t.Context()))
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	for _, sql := range []string{
		"INSERT INTO incidents (user_id) VALUES (2)", "UPDATE incidents SET user_id = 2 WHERE id = 3",
		`INSERT INTO events (body) VALUES ('{"organization": 2}')`, `UPDATE events SET body = '{"organization": 2}' WHERE id = 3`,
	} {
		if err := s.try("source", sql); err == nil || !strings.Contains(err.Error(), "25006") {
			t.Errorf("%s: the source took a write of the range after the cut-over: %v", sql, err)
		}
	}
	s.exec("source", `INSERT INTO incidents (user_id) VALUES (3); INSERT INTO events (body) VALUES ('{"organization": 3}')`)
	s.exec("target", `INSERT INTO incidents (user_id) VALUES (2); INSERT INTO events (body) VALUES ('{"organization": 2}')`)
	must[*CutoverResult](t)(j.Back(t.Context()))
	s.assertEqual(j)
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	must[*CleanupResult](t)(j.Cleanup(t.Context()))
	if n := s.count("source", "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'scaleproof%'"); n != 0 {
		t.Errorf("%d triggers were left behind", n)
	}
}
