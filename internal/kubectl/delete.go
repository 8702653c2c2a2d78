package kubectl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

func encode(o Object) ([]byte, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("writing an object: %w", err)
	}
	return data, nil
}

// Delete deletes exactly the object that was read: where another of its name, or
// another version of it, is there by now, it is a Conflict. What the object owns
// goes first.
func (c *Client) Delete(ctx context.Context, o Object) error {
	path, err := c.pathOf(ctx, o)
	if err != nil {
		return err
	}
	options, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground",
		"preconditions": map[string]string{"uid": o.UID(), "resourceVersion": o.Version()},
	})
	if err != nil {
		return fmt.Errorf("deleting %s: %w", o.Target(), err)
	}
	// kubectl delete has no preconditions of its own.
	_, err = c.call(ctx, "delete "+o.Target(), options, "delete", "--raw", path, "--filename=-")
	return err
}

// pathOf returns the path of an object on the API server.
func (c *Client) pathOf(ctx context.Context, o Object) (string, error) {
	version := o.Text("apiVersion")
	prefix := "/apis/" + version
	if !strings.Contains(version, "/") {
		prefix = "/api/" + version
	}
	resources, err := c.Raw(ctx, prefix)
	if err != nil {
		return "", err
	}
	for _, r := range resources.List("resources") {
		if r.Text("kind") != o.Kind() || strings.Contains(r.Text("name"), "/") {
			continue
		}
		if namespaced, _ := r.At("namespaced").(bool); namespaced {
			prefix += "/namespaces/" + url.PathEscape(c.Namespace)
		}
		return prefix + "/" + r.Text("name") + "/" + url.PathEscape(o.Name()), nil
	}
	return "", &Error{NoKind, "delete " + o.Target(), "the server does not know this kind", nil}
}
