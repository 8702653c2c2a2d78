package validation

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"scaleproof/internal/plan"
	"scaleproof/internal/testpg"
	"scaleproof/scaling"
)

func TestReplicasNeedAnUpstreamThatKeepsThem(t *testing.T) {
	sound := upstream{level: "replica", archive: "off", senders: 10, kept: 1 << 30}
	for says, c := range map[string]struct {
		replicas int
		change   func(*upstream)
		want     scaling.CheckState
	}{
		"max_wal_senders 10, wal_keep_size 1 GiB, archive_mode off": {8, func(*upstream) {}, scaling.CheckOK},
		"no room for the base backup":                               {9, func(*upstream) {}, scaling.CheckWarning},
		"and 11 replicas are to stream":                             {11, func(*upstream) {}, scaling.CheckFault},
		"wal_level is minimal":                                      {0, func(u *upstream) { u.level, u.senders = "minimal", 0 }, scaling.CheckFault},
		"no WAL is kept":                                            {3, func(u *upstream) { u.kept = 0 }, scaling.CheckWarning},
		"archive_mode on":                                           {3, func(u *upstream) { u.kept, u.archive = 0, "on" }, scaling.CheckOK},
		"physical slots 1":                                          {3, func(u *upstream) { u.kept, u.slots = 0, 1 }, scaling.CheckOK},
	} {
		u := sound
		c.change(&u)
		if got := u.check(c.replicas); got.State != c.want || !strings.Contains(got.Detail, says) || (got.State != scaling.CheckOK) != (got.Mend != "") {
			t.Errorf("%+v, want %s: %s", got, c.want, says)
		}
	}
}

// Doctor asks the node whose replicas a plan waits for, and no other.
func TestDoctorLooksAtReplicationWhereItIsAwaited(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	opts, _ := options(t)
	opts.JournalDir = t.TempDir()
	for query, want := range map[string]bool{
		"SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'": true,
		"SELECT count(*) FROM pg_stat_activity":                              false,
	} {
		text := fmt.Sprintf("version: 1\nname: replicas\nenvironment: {postgres: {primary: {dsn: %q}}}\naction: {steps: [{wait: {sql: {query: %q, expect: \"1000\"}}}]}\n", dsn, query)
		p, err := plan.Read("replicas.yaml", []byte(text), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(Doctor(t.Context(), p, opts), func(c scaling.Check) bool {
			return c.Name == "replication from primary" && c.State == scaling.CheckFault && strings.Contains(c.Detail, "1000 replicas are to stream")
		})
		if found != want {
			t.Errorf("%s: looked at: %v, want %v", query, found, want)
		}
	}
}
