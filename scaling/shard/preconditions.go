package shard

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// onlineVersion is the first server_version_num whose publications filter rows.
const onlineVersion = 150000

// sourceFaults says what the source lacks.
func (j *Job) sourceFaults(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
	faults, err := roleFaults(ctx, conn, j.source.Name)
	if err != nil {
		return nil, err
	}
	invalid, err := invalidObjects(ctx, conn, c)
	if err != nil {
		return nil, err
	}
	for _, fault := range invalid { // the target would have them alike, and not be whole
		faults = append(faults, fmt.Sprintf("%s on %s: validate it, make it anew, or drop it", fault, j.source.Name))
	}
	if j.config.mode() != Online {
		return faults, nil
	}
	var version int
	var walLevel string
	var slots int
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('wal_level'),
		current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots WHERE slot_name <> $1)`, j.slot()).Scan(&version, &walLevel, &slots)
	if err != nil {
		return nil, fmt.Errorf("reading the settings of %s: %w", j.source.Name, err)
	}
	if version < onlineVersion {
		faults = append(faults, fmt.Sprintf("%s is of version %d: an online move needs PostgreSQL 15: say mode: fenced", j.source.Name, version/10000))
	}
	if walLevel != "logical" {
		faults = append(faults, fmt.Sprintf("wal_level of %s is %s: an online move needs logical, and a restart: or say mode: fenced", j.source.Name, walLevel))
	}
	if slots < 1 {
		faults = append(faults, fmt.Sprintf("%s has no free replication slot: raise max_replication_slots", j.source.Name))
	}
	for _, t := range c.owned() {
		if t.Class == ByKey {
			faults = append(faults, fmt.Sprintf("%s reaches organisations by a foreign key alone, which no row filter can follow: give it the column %s, or say mode: fenced", t, j.config.column()))
		}
		if t.Unlogged {
			faults = append(faults, fmt.Sprintf("%s is unlogged, so that no replication can follow it: say mode: fenced, or omit it", t))
		}
		if len(t.Key) == 0 {
			faults = append(faults, fmt.Sprintf("%s has no primary key, which replication finds its rows by: give it one, or say mode: fenced", t))
		}
	}
	return faults, nil
}

// roleFaults says what the role of a session must be able to do.
func roleFaults(ctx context.Context, conn *pgx.Conn, node string) ([]string, error) {
	var role string
	var create bool
	err := conn.QueryRow(ctx, "SELECT current_user, has_database_privilege(current_database(), 'CREATE')").Scan(&role, &create)
	if err != nil {
		return nil, fmt.Errorf("reading the rights of %s: %w", node, err)
	}
	var faults []string
	if !create {
		faults = append(faults, fmt.Sprintf("the role %s can't make the schema scaleproof on %s: GRANT CREATE ON DATABASE", role, node))
	}
	if err := execAll(ctx, conn, "BEGIN", "SET LOCAL session_replication_role = replica"); err != nil {
		faults = append(faults, fmt.Sprintf("the role %s can't set session_replication_role on %s, without which triggers would fire for each copied row: use a superuser, or from version 15 GRANT SET ON PARAMETER session_replication_role", role, node))
	}
	return faults, execAll(ctx, conn, "ROLLBACK")
}

// targetFaults says what keeps the target from taking the rows.
func (j *Job) targetFaults(ctx context.Context, c *Catalog) (faults []string, err error) {
	err = j.target.with(ctx, func(conn *pgx.Conn) error {
		if faults, err = roleFaults(ctx, conn, j.target.Name); err != nil {
			return err
		}
		there, err := readTables(ctx, conn, j.config.schemas())
		if err != nil {
			return err
		}
		differences, fresh := compareTables(c, there)
		faults = append(faults, differences...)
		if !fresh {
			missing, err := j.partitionFaults(ctx, c, j.source, j.target)
			if err != nil {
				return err
			}
			faults = append(faults, missing...)
		}
		state, err := readState(ctx, conn, j.config.Name)
		if err != nil || len(differences) > 0 || len(there) == 0 || state.Phase != None {
			return err
		}
		occupied, err := j.occupied(ctx, conn, c)
		if occupied != "" {
			faults = append(faults, occupied)
		}
		return err
	})
	return faults, err
}

// compareTables says how the tables of the target differ from those that move;
// fresh is that the target has none of them.
func compareTables(c *Catalog, there []*Table) (faults []string, fresh bool) {
	byName := map[string]*Table{}
	for _, t := range there {
		byName[t.String()] = t
	}
	missing := 0
	for _, t := range c.moved() {
		on := byName[t.String()]
		if on == nil {
			missing++
			faults = append(faults, fmt.Sprintf("the target has some of the tables, but not %s: make it there, or drop the others", t))
			continue
		}
		for _, column := range t.Columns {
			if same, ok := on.column(column.Name); !ok || same.Type != column.Type || same.Generated != column.Generated {
				faults = append(faults, fmt.Sprintf("%s.%s is %s on the source and %s on the target", t, column.Name, column.Type, orDefault(same.Type, "not there")))
			}
		}
		for _, column := range on.Columns {
			if _, ok := t.column(column.Name); !ok {
				faults = append(faults, fmt.Sprintf("%s.%s is on the target alone", t, column.Name))
			}
		}
		if !slices.Equal(t.Key, on.Key) {
			faults = append(faults, fmt.Sprintf("%s has the primary key %v on the source and %v on the target", t, t.Key, on.Key))
		}
	}
	if missing == len(c.moved()) {
		return nil, true
	}
	return faults, false
}

// occupied says which table of the target has rows of the organisations already.
func (j *Job) occupied(ctx context.Context, conn *pgx.Conn, c *Catalog) (string, error) {
	for _, t := range c.owned() {
		var found bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+t.from()+" t WHERE "+c.where(t, "t")+")").Scan(&found); err != nil {
			return "", fmt.Errorf("looking for rows in %s of the target: %w", t, err)
		}
		if found {
			return fmt.Sprintf("%s on %s has rows of organisations %s already, and no move of the name %s has put them there", t, j.target.Name, c.organizations, j.config.Name), nil
		}
	}
	return "", nil
}
