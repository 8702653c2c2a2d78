package plan

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"scaleproof/internal/redact"
)

// reference is ${NAME}, ${NAME:-text}, or $${ which escapes one.
var reference = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}|\$\{`)

// secretName is a variable whose value must not be seen.
var secretName = regexp.MustCompile(`(?i)(PASSWORD|PASSWD|PASSPHRASE|_PASS$|^PASS$|_PWD$|SECRET|TOKEN|WEBHOOK|_KEY$|^KEY$|APIKEY$|CREDENTIAL)`)

// expand replaces the references in all values below node. It works on the
// values of the parsed file, so that no variable can change the file's shape.
func expand(node ast.Node, lookup func(string) (string, bool)) (*redact.Secrets, []Problem) {
	e := &expander{lookup: lookup, secrets: &redact.Secrets{}}
	if variables := sectionOf(node, "variables"); variables != nil {
		ast.Walk(e, variables)
		e.lookup, e.expanded = orDeclared(lookup, variables), variables
	}
	ast.Walk(e, node)
	return e.secrets, e.problems
}

// sectionOf returns the mapping below a key of the plan, or nil.
func sectionOf(node ast.Node, key string) *ast.MappingNode {
	top, _ := node.(*ast.MappingNode)
	if top == nil {
		return nil
	}
	for _, entry := range top.Values {
		if entry.Key.String() == key {
			section, _ := entry.Value.(*ast.MappingNode)
			return section
		}
	}
	return nil
}

// orDeclared is lookup and, for what that does not have, the plan's own variables.
func orDeclared(lookup func(string) (string, bool), variables *ast.MappingNode) func(string) (string, bool) {
	declared := map[string]string{}
	for _, entry := range variables.Values {
		if scalar, ok := entry.Value.(ast.ScalarNode); ok {
			declared[entry.Key.String()] = written(scalar)
		}
	}
	return func(name string) (string, bool) {
		if value, ok := lookup(name); ok {
			return value, ok
		}
		value, ok := declared[name]
		return value, ok
	}
}

// written is a scalar as it stands in the plan: 1.10 may be a version, and 0644 a mode.
func written(scalar ast.ScalarNode) string {
	switch n := scalar.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.NullNode:
		return ""
	case *ast.TagNode:
		if tagged, ok := n.Value.(ast.ScalarNode); ok {
			return written(tagged)
		}
	}
	return scalar.GetToken().Value
}

type expander struct {
	lookup   func(string) (string, bool)
	expanded ast.Node // already: what came out may look like a reference
	secrets  *redact.Secrets
	problems []Problem
}

// Visit implements ast.Visitor.
func (e *expander) Visit(node ast.Node) ast.Visitor {
	switch n := node.(type) {
	case *ast.MappingValueNode:
		if n.Value != e.expanded {
			ast.Walk(e, n.Value) // keys are names, never references
		}
		return nil
	case *ast.StringNode:
		n.Value = e.text(n.Value, n)
	case *ast.LiteralNode:
		n.Value.Value = e.text(n.Value.Value, n)
		return nil
	}
	return e
}

func (e *expander) text(text string, node ast.Node) string {
	if !strings.Contains(text, "${") {
		return text
	}
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$${" {
			return "${"
		}
		match := reference.FindStringSubmatch(found)
		name, hasDefault := match[1], match[2] != ""
		if name == "" {
			e.fail(node, "${ is not followed by the name of a variable and }: write $${ for a plain ${")
			return ""
		}
		value, ok := e.lookup(name)
		switch {
		case ok:
		case hasDefault:
			value = match[3]
		default:
			e.fail(node, fmt.Sprintf("the environment has no variable %s: set it, or write ${%s:-default}", name, name))
		}
		if secretName.MatchString(name) {
			e.secrets.Add(value)
		}
		return value
	})
}

func (e *expander) fail(node ast.Node, message string) {
	at := node.GetToken().Position
	e.problems = append(e.problems, Problem{at.Line, at.Column, message})
}
