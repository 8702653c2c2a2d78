package workers

import (
	"net"
	"slices"
	"testing"
)

func TestCandidates(t *testing.T) {
	var interfaces []net.Addr
	for _, text := range []string{"127.0.0.1/8", "::1/128", "fe80::1/64", "172.17.0.1/16", "2001:db8::7/64", "192.0.2.7/24", "169.254.3.4/16"} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		interfaces = append(interfaces, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	for first, want := range map[string][]string{
		"192.0.2.7":   {"192.0.2.7:0", "172.17.0.1:0", "[2001:db8::7]:0"},
		"2001:db8::7": {"[2001:db8::7]:0", "172.17.0.1:0", "192.0.2.7:0"},
		// A tunnel or a cluster of this machine: the others may do.
		"127.0.0.1": {"172.17.0.1:0", "192.0.2.7:0", "[2001:db8::7]:0"},
		"":          {"172.17.0.1:0", "192.0.2.7:0", "[2001:db8::7]:0"},
	} {
		if got := candidates(net.ParseIP(first), interfaces); !slices.Equal(got, want) {
			t.Errorf("with %q first: %q, want %q", first, got, want)
		}
	}
	if got := InOrder([]string{"[2001:db8::a:0]:0", "192.0.2.7:80"}); got != "[2001:db8::a:0], then 192.0.2.7:80" {
		t.Error(got)
	}
}
