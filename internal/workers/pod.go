package workers

import (
	"fmt"

	"scaleproof/internal/kubectl"
)

// hopeless says why a pod will never be a worker, "" where it may.
func hopeless(pod kubectl.Object) string {
	name := "pod " + pod.Name()
	if pod.Text("status", "phase") == "Failed" {
		return fmt.Sprintf("%s failed: %s", name, failureOf(pod))
	}
	for _, c := range pod.List("status", "containerStatuses") {
		switch reason := c.Text("state", "waiting", "reason"); reason {
		case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerError", "RunContainerError":
			return fmt.Sprintf("%s can't start: %s: %s", name, reason, c.Text("state", "waiting", "message"))
		}
	}
	return ""
}

// waits says what a pod waits for that may yet come, such as a node from an
// autoscaler; "" where it runs.
func waits(pod kubectl.Object) string {
	name := "pod " + pod.Name()
	if status, reason, message := pod.Condition("PodScheduled"); status == "False" {
		return fmt.Sprintf("%s has no node: %s: %s", name, reason, message)
	}
	for _, c := range pod.List("status", "containerStatuses") {
		if reason := c.Text("state", "waiting", "reason"); reason != "" {
			return fmt.Sprintf("%s waits: %s %s", name, reason, c.Text("state", "waiting", "message"))
		}
	}
	return ""
}

// failureOf says why a pod failed, in the words of the worker where it has any.
func failureOf(pod kubectl.Object) string {
	for _, c := range pod.List("status", "containerStatuses") {
		if text := c.Text("state", "terminated", "message"); text != "" {
			return text
		}
		if reason := c.Text("state", "terminated", "reason"); reason != "" {
			return reason
		}
	}
	return pod.Text("status", "reason") + " " + pod.Text("status", "message")
}
