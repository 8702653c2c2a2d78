package reports

// A table is figures for a page that are no metrics of a comparison.
type table struct {
	Title, Note string
	Head        []column
	Rows        [][]string
}

// A column is a heading, and whether its cells are figures.
type column struct {
	Title string
	Num   bool
}

// columns makes headings; those that begin with '#' are of figures.
func columns(titles ...string) []column {
	all := make([]column, len(titles))
	for i, title := range titles {
		all[i] = column{Title: title}
		if title != "" && title[0] == '#' {
			all[i] = column{title[1:], true}
		}
	}
	return all
}

// full returns the tables that have rows.
func full(tables ...table) []table {
	var kept []table
	for _, t := range tables {
		if len(t.Rows) > 0 {
			kept = append(kept, t)
		}
	}
	return kept
}
