package kubectl

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Versions are those of the program and of the API server, such as v1.34.4.
type Versions struct {
	Client, Server string
	// Skew is by how many minor versions they differ. kubectl supports one.
	Skew int
}

// Versions asks for both.
func (c *Client) Versions(ctx context.Context) (Versions, error) {
	out, err := c.read(ctx, "version", "version", "-o=json")
	if err != nil {
		return Versions{}, err
	}
	answer, err := Decode(out)
	if err != nil {
		return Versions{}, err
	}
	v := Versions{Client: answer.Text("clientVersion", "gitVersion"), Server: answer.Text("serverVersion", "gitVersion")}
	client, clientErr := minor(answer.Text("clientVersion", "minor"))
	server, serverErr := minor(answer.Text("serverVersion", "minor"))
	if clientErr != nil || serverErr != nil {
		return v, fmt.Errorf("kubectl version: the versions %q and %q can't be read", v.Client, v.Server)
	}
	v.Skew = max(client-server, server-client)
	return v, nil
}

// minor reads a minor version; some providers write 32+.
func minor(text string) (int, error) { return strconv.Atoi(strings.TrimRight(text, "+")) }

// ServerUID identifies the cluster: the UID of its namespace kube-system.
func (c *Client) ServerUID(ctx context.Context) (string, error) {
	namespace, err := c.Get(ctx, "namespace/kube-system")
	if err != nil {
		return "", fmt.Errorf("reading the cluster's UID: %w", err)
	}
	return namespace.UID(), nil
}

// Server returns the URL of the API server, as the kubeconfig has it; "" for
// InCluster, which has none.
func (c *Client) Server(ctx context.Context) (string, error) {
	if c.Context == InCluster {
		return "", nil
	}
	out, err := c.call(ctx, "config view", nil, "config", "view", "--minify", "-o=json")
	if err != nil {
		return "", err
	}
	config, err := Decode(out)
	if err != nil {
		return "", err
	}
	for _, cluster := range config.List("clusters") {
		return cluster.Text("cluster", "server"), nil
	}
	return "", &Error{NoContext, "config view", "the context " + c.Context + " names no cluster", nil}
}
