package shard

import (
	"maps"
	"slices"
	"testing"
)

// What a has and what b has are looked at in rounds of three: a, b, a.
func TestFollowing(t *testing.T) {
	type round struct{ before, follows, after rowHashes }
	one, two, none := rowHashes{"k": {1}}, rowHashes{"k": {2}}, rowHashes{}
	for name, c := range map[string]struct {
		rounds []round
		told   bool // by the last round
		wrong  bool
	}{
		"alike":                          {[]round{{one, one, one}}, true, false},
		"on its way":                     {[]round{{one, one, two}}, true, false},
		"has come":                       {[]round{{one, two, two}}, true, false},
		"deleted meanwhile":              {[]round{{one, none, none}}, true, false},
		"differs once":                   {[]round{{one, two, one}}, false, false},
		"differs":                        {[]round{{one, two, one}, {one, two, one}}, true, true},
		"missing":                        {[]round{{one, none, one}, {one, none, one}}, true, true},
		"extra":                          {[]round{{none, one, none}, {none, one, none}}, true, true},
		"doubled":                        {[]round{{one, rowHashes{"k": {1, 1}}, one}, {one, rowHashes{"k": {1, 1}}, one}}, true, true},
		"made and deleted between looks": {[]round{{none, one, none}, {none, none, none}}, true, false},
		"changed and changed back":       {[]round{{one, two, one}, {one, one, one}}, true, false},
		"twice, to other values":         {[]round{{one, two, one}, {one, none, one}}, false, false},
		"changed each time":              {[]round{{none, two, one}, {one, none, two}}, false, false},
		"changed, and then wrong":        {[]round{{none, two, one}, {one, two, one}, {one, two, one}}, true, true},
	} {
		var f following
		told := false
		for _, r := range c.rounds {
			told = f.look(r.before, r.follows, r.after)
		}
		if told != c.told || (len(differences("t", f.should, f.has)) == 1) != c.wrong {
			t.Errorf("%s: told %v, wrong %v, open %v", name, told, f.has, slices.Collect(maps.Keys(f.open)))
		}
	}
	// What is told is not looked at again, and does not come back.
	var f following
	f.look(one, one, one)
	if !f.look(one, two, one) || len(f.has) > 0 {
		t.Errorf("a row that was as it should be is wrong: %v", f.has)
	}
}
