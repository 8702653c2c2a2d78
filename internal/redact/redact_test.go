package redact

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

func TestNoFormOfThePasswordSurvives(t *testing.T) {
	for _, dsn := range []string{
		"postgres://app:hunter2!@db:5432/brownie?sslmode=require",
		"postgres://app:p%40ss%2Fword@db/brownie",
		"postgres://db/brownie?user=app&password=hunter2!",
		"host=db user=app password=hunter2! dbname=brownie",
		"host=db password = 'two words' user=app",
	} {
		got := DSN(dsn)
		for _, secret := range []string{"hunter2", "p%40ss", "p@ss", "word@", "two words"} {
			if strings.Contains(got, secret) {
				t.Errorf("DSN(%q) = %q holds %q", dsn, got, secret)
			}
		}
		if !strings.Contains(got, "db") || !strings.Contains(got, "app") || !strings.Contains(got, Mask) {
			t.Errorf("DSN(%q) = %q lost what is not secret", dsn, got)
		}
	}
}

func TestKnownSecretsGoEverywhere(t *testing.T) {
	var s Secrets
	s.AddDSN("postgres://app:sentinel%2F42@db/brownie")
	s.Add("token-123")
	for _, text := range []string{
		"ERROR: password sentinel/42 refused",
		"GET /?p=sentinel%2F42",
		"stdout: token-123\n",
		"Authorization: Bearer abcdef0123456789",
	} {
		got := s.String(text)
		for _, secret := range []string{"sentinel", "token-123", "abcdef"} {
			if strings.Contains(got, secret) {
				t.Errorf("%q became %q", text, got)
			}
		}
	}
}

// Nothing of a secret survives that JSON, quoting or HTML writes differently.
func TestEscapedFormsGoToo(t *testing.T) {
	const secret = `pa"ss&'1x\<z`
	var s Secrets
	s.Add(secret)
	state, err := json.Marshal(map[string]string{"token": secret})
	if err != nil {
		t.Fatal(err)
	}
	journal, err := json.Marshal(map[string]string{"before": string(state)})
	if err != nil {
		t.Fatal(err)
	}
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(secret); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"JSON": string(state), "JSON in JSON": string(journal), "JSON without HTML": plain.String(), "%q": fmt.Sprintf("%q", secret),
		"%q of JSON": fmt.Sprintf("the state is %q", state), "HTML": html.EscapeString(secret),
		"YAML": "'" + strings.ReplaceAll(secret, "'", "''") + "'", "shell": "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'",
		"URL": "/?" + url.QueryEscape(secret),
	} {
		if got := s.String(text); !strings.Contains(got, Mask) || strings.Contains(got, "1x") || strings.Contains(got, "pa") {
			t.Errorf("%s: %s became %s", name, text, got)
		}
	}
}

func TestANilOrEmptyRedactorKeepsPlainText(t *testing.T) {
	var none *Secrets
	const text = "load.api.response.p99 is 80 ms at http://app:8000/health"
	if got := none.String(text); got != text {
		t.Errorf("%q became %q", text, got)
	}
}

func TestUnmask(t *testing.T) {
	var s, other Secrets
	s.Add("token-one", `to"ken-two`)
	other.Add("nothing-of-it")
	for _, text := range []string{"one token-one.", `{"a":"token-one","b":"to\"ken-two","c":"token-one"}`, "token-one token-one token-one"} {
		is := func(guess string) bool { return guess == text }
		if got, ok := s.Unmask(s.String(text), is); !ok || got != text {
			t.Errorf("%q became %q, %v", text, got, ok)
		}
		if got, ok := other.Unmask(s.String(text), is); ok {
			t.Errorf("without the secret %q became %q", text, got)
		}
	}
	var none *Secrets
	if _, ok := none.Unmask(Mask, func(string) bool { return true }); ok {
		t.Error("a nil redactor knew the secret")
	}
	guesses := 0
	if _, ok := s.Unmask(strings.Repeat(Mask, 30), func(string) bool { guesses++; return false }); ok || guesses > maxGuesses {
		t.Errorf("%d guesses", guesses)
	}
}
