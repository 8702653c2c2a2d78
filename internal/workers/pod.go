package workers

import (
	"fmt"

	"scaleproof/internal/kubectl"
)

// whyEnded says why the first of a Job's pods has ended or will never run, ""
// where all run or may yet.
func whyEnded(pods []kubectl.Object) string {
	leaving := ""
	for _, pod := range pods {
		if deleted(pod) {
			leaving = fmt.Sprintf("pod %s is being deleted, as its Job does with all once one has failed or is gone", pod.Name())
		} else if reason := hopeless(pod); reason != "" {
			return reason
		}
	}
	return leaving
}

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
		reason, text := c.Text("state", "terminated", "reason"), c.Text("state", "terminated", "message")
		switch code, _ := c.Int("state", "terminated", "exitCode"); {
		case reason == "OOMKilled":
			// What it said before it says nothing of that.
			return "OOMKilled: it needed more memory than its limit: raise memory in measure.load.workers.limits, or share the load among more workers"
		case text != "":
			return text
		case reason != "":
			return fmt.Sprintf("%s, exit code %d", reason, code)
		}
	}
	return pod.Text("status", "reason") + " " + pod.Text("status", "message")
}

// deleted reports whether a pod is being deleted, as its Job does with all once one
// has failed or is gone. What disrupts one pod alone, such as the drain of its node,
// is told by a condition, and is none of that.
func deleted(pod kubectl.Object) bool {
	disrupted, _, _ := pod.Condition("DisruptionTarget")
	return pod.Text("metadata", "deletionTimestamp") != "" && disrupted != "True"
}
