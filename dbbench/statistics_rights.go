package dbbench

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scaleproof/internal/redact"
)

// rights is what a role may see of the statistics, and where they are.
type rights struct {
	role             string // quoted as SQL has it
	readsAll         bool   // other roles' statements and sessions too
	preloaded        *bool  // pg_stat_statements; nil where the role may not know
	extensionSchema  string // of pg_stat_statements, quoted; empty where it was not created
	extensionVersion string // of pg_stat_statements, as CREATE EXTENSION made or UPDATE left it
	available        bool   // its files are on the server
}

func readRights(ctx context.Context, conn *pgx.Conn) (*rights, error) {
	var r rights
	var schema, version *string
	// The setting is hidden, not refused, from a role without pg_read_all_settings.
	err := conn.QueryRow(ctx, `SELECT quote_ident(current_user), pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
		(SELECT setting LIKE '%pg_stat_statements%' FROM pg_settings WHERE name = 'shared_preload_libraries'),
		(SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_stat_statements'),
		(SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'),
		EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')`).
		Scan(&r.role, &r.readsAll, &r.preloaded, &schema, &version, &r.available)
	if schema != nil {
		r.extensionSchema, r.extensionVersion = *schema, *version
	}
	return &r, err
}

// notes says what is lacking, and how to get it.
func (r *rights) notes() []string {
	var notes []string
	if !r.readsAll {
		notes = append(notes, fmt.Sprintf("the statements and sessions of other roles are hidden from %s: GRANT pg_monitor TO %s", r.role, r.role))
	}
	if r.extensionSchema == "" {
		var steps []string
		if !r.available {
			steps = append(steps, "install the server's contrib package")
		}
		if r.preloaded == nil || !*r.preloaded {
			steps = append(steps, "add pg_stat_statements to shared_preload_libraries and restart the server")
		}
		steps = append(steps, "run CREATE EXTENSION pg_stat_statements in this database as a superuser")
		notes = append(notes, "pg_stat_statements is not there, so that nothing is known of single statements: "+strings.Join(steps, ", "))
	}
	return notes
}

// SQLSTATEs of what a capture may meet.
const (
	undefinedTable        = "42P01"
	undefinedColumn       = "42703"
	insufficientPrivilege = "42501"
	notInPrerequisite     = "55000" // object_not_in_prerequisite_state
)

// explain says why a view could not be read; nothing where the server's version
// has no such view.
func (r *rights) explain(view string, fault *pgconn.PgError) string {
	switch {
	case fault.Code == undefinedTable:
		return ""
	case fault.Code == undefinedColumn && view == statements:
		return fmt.Sprintf("%s can't be read: the extension is still of version %s, from before an upgrade of the server: ALTER EXTENSION pg_stat_statements UPDATE", view, r.extensionVersion)
	case fault.Code == insufficientPrivilege:
		return fmt.Sprintf("%s can't be read: GRANT pg_monitor TO %s", view, r.role)
	case fault.Code == notInPrerequisite && strings.HasPrefix(view, "pg_stat_statements"):
		return view + " can't be read: add pg_stat_statements to shared_preload_libraries and restart the server"
	}
	return fmt.Sprintf("%s can't be read: %s", view, fault.Message)
}

// rolePassword is that of CREATE or ALTER ROLE, which pg_stat_statements keeps.
var rolePassword = regexp.MustCompile(`(?i)\b(password\s+)E?'(?:[^']|'')*'`)

// withoutSecrets masks the passwords in the texts of statements and settings: those
// of roles and of connection strings, as in CREATE SUBSCRIPTION and
// primary_conninfo.
func withoutSecrets(text string) string {
	if !strings.Contains(text, "://") && !strings.Contains(strings.ToLower(text), "password") {
		return text
	}
	var s redact.Secrets
	return s.String(rolePassword.ReplaceAllString(text, "${1}'"+redact.Mask+"'"))
}
