package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

type answer struct {
	status    int
	body      string
	keepAlive bool
}

// parseAll reads one answer from stream in pieces of the sizes that next
// gives, as an engine does: what is not consumed goes before the next piece.
func parseAll(stream []byte, head bool, next func(left int) int) (answer, []byte, error) {
	p := Parser{Keep: &Kept{Limit: 1 << 20}}
	p.Reset(head)
	var pending []byte
	for len(stream) > 0 && !p.Done() {
		size := next(len(stream))
		pending = append(pending, stream[:size]...)
		stream = stream[size:]
		n, err := p.Feed(pending)
		if err != nil {
			return answer{}, nil, err
		}
		pending = pending[n:]
	}
	if !p.Done() {
		if err := p.Close(); err != nil {
			return answer{}, nil, err
		}
	}
	rest := append(pending, stream...)
	return answer{p.Status(), string(p.Keep.Body), p.KeepAlive()}, rest, nil
}

func whole(left int) int { return left }

func TestAnswersAreFramed(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		head         bool
		want         answer
		rest         string
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", false, answer{200, "hello", true}, "HTTP"},
		{"length zero", "HTTP/1.1 500 No\r\ncontent-length:0\r\n\r\nx", false, answer{500, "", true}, "x"},
		{"bare newlines", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", false, answer{200, "hi", true}, ""},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", false, answer{200, "x", true}, ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;e=1\r\n0123456789\r\n0\r\n\r\nrest", false, answer{200, "abc0123456789", true}, "rest"},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\nZ: w\r\n\r\n", false, answer{200, "a", true}, ""},
		{"chunked beats length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nabc", false, answer{200, "", true}, "abc"},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", false, answer{200, "all of it", false}, ""},
		{"1.0 closes", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", false, answer{200, "x", false}, ""},
		{"1.0 keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\nx", false, answer{200, "x", true}, ""},
		{"close", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: foo, close\r\n\r\nx", false, answer{200, "x", false}, ""},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnext", true, answer{200, "", true}, "next"},
		{"204", "HTTP/1.1 204 No Content\r\n\r\nnext", false, answer{204, "", true}, "next"},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nnext", false, answer{304, "", true}, "next"},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, answer{200, "ok", true}, ""},
		{"upgrade", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nraw", false, answer{101, "", false}, "raw"},
		{"folded", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 1\r\n\r\nx", false, answer{200, "x", true}, ""},
	} {
		pieces := map[string]func(int) int{"whole": whole, "bytes": func(int) int { return 1 }, "threes": func(left int) int { return min(3, left) }}
		for how, next := range pieces {
			got, rest, err := parseAll([]byte(c.stream), c.head, next)
			if err != nil || got != c.want || string(rest) != c.rest {
				t.Errorf("%s in %s: %+v, rest %q, %v; want %+v, rest %q", c.name, how, got, rest, err, c.want, c.rest)
			}
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, stream string
		want         error
	}{
		{"garbage", "SSH-2.0-OpenSSH_9.6\r\n", ErrMalformed},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", ErrMalformed},
		{"status of letters", "HTTP/1.1 2x0 OK\r\n\r\n", ErrMalformed},
		{"status of four", "HTTP/1.1 2000 OK\r\n\r\n", ErrMalformed},
		{"no colon", "HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n", ErrMalformed},
		{"folded first", "HTTP/1.1 200 OK\r\n X: a\r\n\r\n", ErrMalformed},
		{"folded length", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n", ErrMalformed},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", ErrMalformed},
		{"huge length", "HTTP/1.1 200 OK\r\nContent-Length: 92233720368547758070\r\n\r\n", ErrMalformed},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ErrMalformed},
		{"gzip coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ErrMalformed},
		{"chunk size", chunked + "xyz\r\n", ErrMalformed},
		{"chunk size overflow", chunked + "ffffffffffffffff\r\n", ErrMalformed},
		{"chunk end", chunked + "1\r\nabc", ErrMalformed},
		{"chunks of nothing but extensions", chunked + strings.Repeat("1;"+strings.Repeat("x", 4000)+"\r\na\r\n", 6), ErrHeadLimit},
		{"endless line", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", MaxLine), ErrHeadLimit},
		{"endless head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", MaxHead/6), ErrHeadLimit},
		{"endless interim answers", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", MaxHead/25+1), ErrHeadLimit},
		{"endless trailers", chunked + "0\r\n" + strings.Repeat("X: y\r\n", MaxHead/6), ErrHeadLimit},
		{"nothing", "", ErrTruncated},
		{"half a head", "HTTP/1.1 200 OK\r\nCont", ErrTruncated},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", ErrTruncated},
		{"half a chunk", chunked + "5\r\nab", ErrTruncated},
		{"no last chunk", chunked + "1\r\na\r\n", ErrTruncated},
	} {
		for how, next := range map[string]func(int) int{"whole": whole, "hundreds": func(left int) int { return min(100, left) }} {
			if _, _, err := parseAll([]byte(c.stream), false, next); !errors.Is(err, c.want) {
				t.Errorf("%s in %s: error %v, want %v", c.name, how, err, c.want)
			}
		}
	}
}

func TestKeptIsBounded(t *testing.T) {
	p := Parser{Keep: &Kept{Limit: 3}}
	stream := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
	if _, err := p.Feed([]byte(stream)); err != nil || !p.Done() {
		t.Fatal(err)
	}
	if string(p.Keep.Body) != "hel" || p.bodySize != 5 || string(p.Keep.Head) != stream[:len(stream)-5] {
		t.Errorf("kept %q and %q of %d", p.Keep.Head, p.Keep.Body, p.bodySize)
	}
}

// oracle reads one answer with net/http.
func oracle(stream []byte, method string) (answer, error) {
	r := bufio.NewReader(bytes.NewReader(stream))
	for {
		response, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answer{}, err
		}
		if response.StatusCode/100 == 1 && response.StatusCode != 101 {
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return answer{}, err
		}
		return answer{response.StatusCode, string(body), !response.Close}, nil
	}
}

// FuzzParser holds that whatever net/http reads, the parser reads alike, cut
// at whatever places; and that where the cuts fall never matters.
func FuzzParser(f *testing.F) {
	for _, stream := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
		"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\r\n\tb\r\n\r\nuntil close",
		"HTTP/1.0 100 \n\nHTTP/0.0 200 \n\n",
	} {
		f.Add([]byte(stream), uint64(1), false)
		f.Add([]byte(stream), uint64(2), true)
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, head bool) {
		got, rest, err := parseAll(stream, head, whole)
		rng := rand.New(rand.NewPCG(seed, 0))
		cut, cutRest, cutErr := parseAll(stream, head, func(left int) int { return 1 + rng.IntN(min(left, 9)) })
		if got != cut || !bytes.Equal(rest, cutRest) || (err == nil) != (cutErr == nil) {
			t.Fatalf("whole: %+v, %v; cut: %+v, %v", got, err, cut, cutErr)
		}
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		want, oracleErr := oracle(stream, method)
		if oracleErr != nil || deviates(stream, want) {
			return
		}
		if err != nil || got.status != want.status || got.body != want.body {
			t.Fatalf("%+v, %v; net/http reads %+v", got, err, want)
		}
		if got.keepAlive && !want.keepAlive {
			t.Fatalf("keeps a connection that net/http closes")
		}
	})
}

// deviates tells the answers that the parser refuses, or reads otherwise, on
// purpose.
func deviates(stream []byte, want answer) bool {
	if !bytes.HasPrefix(stream, []byte("HTTP/1.0 ")) && !bytes.HasPrefix(stream, []byte("HTTP/1.1 ")) {
		return true // net/http takes any version
	}
	if want.status < 200 {
		return true // 000, +12 and the like
	}
	head, _, _ := bytes.Cut(stream, []byte("\n\r\n"))
	return len(stream) > MaxLine || bytes.Contains(head, []byte("\n ")) || bytes.Contains(head, []byte("\n\t")) || // folded framing headers
		(bytes.Contains(stream, []byte("HTTP/1.1 1")) || bytes.Contains(stream, []byte("HTTP/1.0 1"))) && !validVersions(stream)
}

// validVersions reports whether the answers after interim ones are HTTP/1.x.
func validVersions(stream []byte) bool {
	for _, part := range bytes.SplitAfter(stream, []byte("\n"))[1:] {
		if bytes.HasPrefix(part, []byte("HTTP/")) && !bytes.HasPrefix(part, []byte("HTTP/1.1 ")) && !bytes.HasPrefix(part, []byte("HTTP/1.0 ")) {
			return false
		}
	}
	return true
}
