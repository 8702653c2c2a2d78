package workers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"scaleproof/internal/kubectl"
)

// anyPort stands for the port that the coordinator will have.
const anyPort = "0"

// Addresses returns those at which pods may reach this process, HOST:PORT, in the
// order in which they try them; a port of 0 is any. That of advertise is the only one.
// Without it the first is that from which this machine reaches the API server, and the
// others are all that its network has.
func Addresses(ctx context.Context, client *kubectl.Client, advertise string) ([]string, error) {
	if advertise != "" {
		if _, _, err := net.SplitHostPort(advertise); err == nil {
			return []string{advertise}, nil
		}
		return []string{net.JoinHostPort(advertise, anyPort)}, nil
	}
	server, err := client.Server(ctx)
	if err != nil {
		return nil, err
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("finding this machine's addresses: %w", err)
	}
	addresses := candidates(localAddress(server), interfaces)
	if len(addresses) == 0 {
		return nil, errors.New("this machine has no address that pods could reach")
	}
	return addresses, nil
}

// candidates returns the addresses of interfaces that other machines may reach, and
// first, where it is one of them, that which leads to the API server.
func candidates(first net.IP, interfaces []net.Addr) []string {
	var all []net.IP
	for _, address := range interfaces {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			all = append(all, network.IP)
		}
	}
	slices.SortStableFunc(all, func(a, b net.IP) int { return rank(first, a) - rank(first, b) })
	var addresses []string
	for _, ip := range all {
		addresses = append(addresses, net.JoinHostPort(ip.String(), anyPort))
	}
	return addresses
}

// rank orders addresses: the first one, then those of its family.
func rank(first, ip net.IP) int {
	switch {
	case ip.Equal(first):
		return 0
	case (ip.To4() == nil) == (first != nil && first.To4() == nil):
		return 1
	}
	return 2
}

// localAddress is the address from which this machine reaches a URL, nil where that is
// not known. No packet is sent for it.
func localAddress(server string) net.IP {
	u, err := url.Parse(server)
	if err != nil {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	conn, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP
}

// listen opens the coordinator's port, and returns the addresses that pods are told.
func listen(ctx context.Context, client *kubectl.Client, advertise string) (net.Listener, []string, error) {
	addresses, err := Addresses(ctx, client, advertise)
	if err != nil {
		return nil, nil, err
	}
	_, port, err := net.SplitHostPort(addresses[0]) // all have the same
	if err != nil {
		return nil, nil, fmt.Errorf("the address %q: %w", addresses[0], err)
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return nil, nil, fmt.Errorf("listening for the workers: %w", err)
	}
	if port == anyPort {
		_, port, _ = net.SplitHostPort(listener.Addr().String()) // which it has
		for i, address := range addresses {
			host, _, _ := net.SplitHostPort(address) // which Addresses has joined
			addresses[i] = net.JoinHostPort(host, port)
		}
	}
	return listener, addresses, nil
}

// InOrder writes addresses in the order in which pods try them, without a port that
// is any.
func InOrder(addresses []string) string {
	var names []string
	for _, address := range addresses {
		names = append(names, strings.TrimSuffix(address, ":"+anyPort))
	}
	return strings.Join(names, ", then ")
}
