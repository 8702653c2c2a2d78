package reports

import _ "embed"

// Schema is the JSON Schema (draft 2020-12) of report.json. A test writes it from
// the types, and holds reports to it.
//
//go:embed report.schema.json
var Schema []byte
