package loadgen

import (
	"net/http"
	"testing"
)

const checkedHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nX-Cache:hit\r\n\r\n"

func TestChecks(t *testing.T) {
	body := `{"status": "ok", "items": [{"id": 7, "tags": ["a"]}], "none": null}`
	for text, want := range map[string]bool{
		"status 200":     true,
		"status 200-299": true, "status 201,200": true, "status 300-399,500": false,
		"header Content-Type contains json":        true,
		"header content-type contains xml":         false,
		"header X-Cache == hit":                    true,
		"header X-Cache == hi":                     false,
		"header X-Cache exists":                    true,
		"header X-Other exists":                    false,
		`body contains "status": "ok"`:             true,
		"body contains failure":                    false,
		`body matches "id":\s*\d+`:                 true,
		`body matches ^ok$`:                        false,
		`json $.status == "ok"`:                    true,
		`json $.status == "no"`:                    false,
		"json $.items[0].id == 7":                  true,
		"json $.items[0].id == 7.0":                true,
		`json $.items[0] == {"tags":["a"],"id":7}`: true,
		"json $.items[*].id exists":                true,
		"json $.items[?@.id == 7].tags exists":     true,
		"json $.items[?@.id == 8].tags exists":     false,
		`json $.items[?@.id == 7].tags[0] == "a"`:  true,
		`json $.items[?@.id == 7].tags[0] == "=="`: false,
		`json $.status == "ok == exists"`:          false,
		"json $.missing exists":                    false,
		"json $.missing == null":                   false,
		"json $.none == null":                      true,
	} {
		c, err := parseCheck(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.holds(200, []byte(checkedHead), []byte(body)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{"", "status", "status 20", "status 300-200", "header", "header X", "body", "body is x", "body matches (", "json $.a", "json a == 1", "json $.a == ok"} {
		if _, err := parseCheck(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if c, _ := parseCheck("json $.status exists"); c.holds(200, nil, []byte("not JSON")) {
		t.Error("a body that is no JSON has a status")
	}
}

func TestFailedChecksAreFailures(t *testing.T) {
	t.Parallel()
	for _, engine := range append(engines(), engineHTTP2) {
		url := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/bad":
				_, _ = w.Write([]byte(`{"status": "bad"}`))
			case "/created":
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"status": "ok"}`))
			default:
				_, _ = w.Write([]byte(`{"status": "ok"}`))
			}
		})
		const isOK = `json $.status == "ok"`
		res := loadOf(t, 90, Config{
			Targets: []string{url, url + "/bad", url + "/created"}, Checks: []string{"status 200", isOK}, Rate: 300,
		}, Options{Engine: engine})
		if res.Successes != 30 || res.Errors["check"] != 30 || res.Errors["status"] != 30 || res.Checks[isOK] != 30 || res.Checks["status 200"] != 30 {
			t.Errorf("%s: %d successes, errors %v, checks %v", engine, res.Successes, res.Errors, res.Checks)
		}
	}
}

func FuzzParseCheck(f *testing.F) {
	for _, seed := range []string{"status 200", "header A contains b", "body matches x", `json $.a == 1`, "json $..* exists"} {
		f.Add(seed, `{"a": 1}`)
	}
	f.Fuzz(func(_ *testing.T, text, body string) {
		if c, err := parseCheck(text); err == nil {
			c.holds(200, []byte(checkedHead), []byte(body)) // must not panic
		}
	})
}
