package dbbench

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// hypothetical tries indexes by HypoPG: the planner sees them, nothing is built,
// and no other session knows.
type hypothetical struct {
	conn   *pgx.Conn
	schema string
}

// openHypothetical tries the cases that are prepared on a connection. Without HypoPG
// it returns nil and how to get it.
func openHypothetical(ctx context.Context, conn *pgx.Conn) (h *hypothetical, reason string, err error) {
	var schema *string
	var available bool
	if err := conn.QueryRow(ctx, `SELECT (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'hypopg'),
		EXISTS (SELECT FROM pg_available_extensions WHERE name = 'hypopg')`).Scan(&schema, &available); err != nil {
		return nil, "", fmt.Errorf("looking for HypoPG: %w", err)
	}
	switch {
	case schema == nil && available:
		return nil, "CREATE EXTENSION hypopg lets the planner judge it", nil
	case schema == nil:
		return nil, "install the extension hypopg, which lets the planner judge it", nil
	}
	return &hypothetical{conn, *schema}, "", nil
}

// prepareCases prepares the statement of each case, and asks for custom plans.
func prepareCases(ctx context.Context, conn *pgx.Conn, cases []advisedCase) error {
	if _, err := conn.Exec(ctx, "SET "+planCacheMode+" = "+customPlan); err != nil {
		return fmt.Errorf("asking for custom plans: %w", err)
	}
	for i, c := range cases {
		if _, err := conn.PgConn().Prepare(ctx, labStatement(i), c.SQL, nil); err != nil {
			return fmt.Errorf("preparing %s: %w", c.Name, err)
		}
	}
	return nil
}

func labStatement(i int) string { return fmt.Sprintf("scaleproof_lab_%d", i) }

// explainCase runs EXPLAIN on a case that prepareCases has prepared.
func explainCase(ctx context.Context, conn *pgx.Conn, c advisedCase, options string) (*Plan, error) {
	statement, err := executeStatement(conn.PgConn(), labStatement(c.place), c.arguments)
	if err != nil {
		return nil, err
	}
	return explain(ctx, conn.PgConn(), options, statement)
}

func (h *hypothetical) build(ctx context.Context, c candidate) (index builtIndex, err error) {
	err = h.conn.QueryRow(ctx, fmt.Sprintf(`SELECT indexname, %[1]s.hypopg_relation_size(indexrelid)::float8 FROM %[1]s.hypopg_create_index($1)`, h.schema),
		fmt.Sprintf("CREATE INDEX ON %s (%s)", c.table, strings.Join(c.columns, ", "))).Scan(&index.name, &index.bytes)
	return index, err
}

func (h *hypothetical) drop(ctx context.Context, index builtIndex) error {
	var dropped bool
	err := h.conn.QueryRow(ctx, fmt.Sprintf(`SELECT %[1]s.hypopg_drop_index(indexrelid) FROM %[1]s.hypopg_list_indexes WHERE index_name = $1`, h.schema), index.name).Scan(&dropped)
	if err == nil && !dropped {
		err = errors.New("HypoPG did not drop " + index.name)
	}
	return err
}

func (h *hypothetical) measure(ctx context.Context, c advisedCase) (labResult, error) {
	plan, err := explainCase(ctx, h.conn, c, "FORMAT JSON")
	if err != nil {
		return labResult{}, err
	}
	return labResult{cost: plan.Root.TotalCost, indexes: plan.Root.indexes()}, nil
}

// indexes returns those that the node and those below it use.
func (n *PlanNode) indexes() []string {
	var names []string
	for _, node := range n.All() {
		if node.Index != "" {
			names = append(names, node.Index)
		}
	}
	return names
}

func (h *hypothetical) words(before, after labResult) string {
	return fmt.Sprintf("the planner would use it: estimated cost %s, before %s", unit.Format(after.cost, unit.Count), unit.Format(before.cost, unit.Count))
}

func (h *hypothetical) unreached(candidate) []string { return nil }

func (h *hypothetical) method() string { return "judged by the planner, with HypoPG" }
