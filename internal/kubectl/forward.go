package kubectl

import (
	"context"
	"errors"
	"fmt"
)

// Forward leads the port local of this machine's loopback to the port remote of a
// pod, until ctx ends, which is no error, or kubectl does.
func (c *Client) Forward(ctx context.Context, pod string, local, remote int) error {
	doing := "port-forward pod/" + pod
	_, err := c.execute(ctx, doing, nil, "port-forward", "pod/"+pod, fmt.Sprintf("%d:%d", local, remote), "--address=127.0.0.1")
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		err = &Error{Unknown, doing, "it ended", errors.New("exit status 0")}
	}
	return err
}
