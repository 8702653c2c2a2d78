package shard

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"scaleproof/internal/invalid"
)

// Organizations is a set of organisations: a list, or a range, which may be open
// at one end and is inclusive. Keys are written as Postgres reads them; a range of
// text keys is in the order of their bytes (COLLATE "C").
type Organizations struct {
	From string   `yaml:"from" json:"from,omitempty"`
	To   string   `yaml:"to" json:"to,omitempty"`
	List []string `yaml:"list" json:"list,omitempty"`
}

func (o Organizations) validate() error {
	isRange := o.From != "" || o.To != ""
	switch {
	case isRange == (len(o.List) > 0):
		return invalid.Field("", "must be a range (from, to) or a list")
	case slices.Contains(o.List, ""):
		return invalid.Field("list", "has an empty organisation")
	}
	sorted := slices.Sorted(slices.Values(o.List))
	if len(slices.Compact(sorted)) < len(o.List) {
		return invalid.Field("list", "names an organisation twice")
	}
	return nil
}

// String writes the set for a person: "1001-2000", "2001+", "a, b".
func (o Organizations) String() string {
	switch {
	case len(o.List) > 0:
		return strings.Join(o.List, ", ")
	case o.To == "":
		return o.From + "+"
	case o.From == "":
		return "up to " + o.To
	}
	return o.From + "-" + o.To
}

// keyType is the type of an organisation's key, as Postgres formats it.
type keyType string

// errKeyType is a type of key that can't be moved by.
var errKeyType = errors.New("organisations must have keys of an integer type, uuid, text or varchar")

func keyTypeOf(formatted string) (keyType, error) {
	base, _, _ := strings.Cut(formatted, "(")
	switch base {
	case "smallint", "integer", "bigint", "uuid", "text", "character varying":
		return keyType(base), nil
	}
	return "", errKeyType
}

func (k keyType) isText() bool { return k == "text" || k == "character varying" }

// inOrder says why a range holds nothing: its ends are the wrong way round, or no
// keys.
func (o Organizations) inOrder(k keyType) error {
	if o.From == "" || o.To == "" {
		return nil
	}
	order := strings.Compare(o.From, o.To)
	switch k {
	case "smallint", "integer", "bigint":
		from, okFrom := new(big.Int).SetString(o.From, 10)
		to, okTo := new(big.Int).SetString(o.To, 10)
		if !okFrom || !okTo {
			return fmt.Errorf("organisations are numbers, and the range goes from %q to %q", o.From, o.To)
		}
		order = from.Cmp(to)
	case "uuid":
		plain := strings.NewReplacer("-", "", "{", "", "}", "")
		order = strings.Compare(strings.ToLower(plain.Replace(o.From)), strings.ToLower(plain.Replace(o.To)))
	}
	if order > 0 {
		return fmt.Errorf("the range of organisations goes from %s down to %s: nothing is in it", o.From, o.To)
	}
	return nil
}

// literal writes a key as a constant.
func (k keyType) literal(key string) string {
	cast := k
	if k.isText() {
		cast = "text"
	}
	return quote(key) + "::" + string(cast)
}

// where returns the condition that expr, of type k, is one of the set. It holds
// only what a row filter of a publication may hold.
func (o Organizations) where(expr string, k keyType) string {
	if len(o.List) > 0 {
		literals := make([]string, len(o.List))
		for i, key := range o.List {
			literals[i] = k.literal(key)
		}
		return expr + " IN (" + strings.Join(literals, ", ") + ")"
	}
	if k.isText() {
		expr += ` COLLATE "C"`
	}
	var bounds []string
	if o.From != "" {
		bounds = append(bounds, expr+" >= "+k.literal(o.From))
	}
	if o.To != "" {
		bounds = append(bounds, expr+" <= "+k.literal(o.To))
	}
	return "(" + strings.Join(bounds, " AND ") + ")"
}

// quote writes text as a literal of a session with standard_conforming_strings.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
