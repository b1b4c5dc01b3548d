// Package health judges: given a live object, whether it is what its controllers
// are to make of it.
//
// The words are kstatus': current (ready, rolled out, completed), in progress,
// failed, terminating. What a kind alone does not tell, expressions do
// (Expression, in the words of Flux).
//
// Laws: judging is pure and never fails: what cannot be judged is Unknown, and
// says why. Nothing here reads a clock of ours, a file or the network.
package health

import (
	"fmt"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"tidemark.dev/tidemark/render/object"
)

// State is how one object is.
type State string

// The states. Only Current is healthy; Failed is not expected to get better by
// waiting, everything else may.
const (
	Current     State = "current"
	InProgress  State = "inProgress"
	Failed      State = "failed"
	Terminating State = "terminating"
	NotFound    State = "notFound"
	Unknown     State = "unknown"
)

// Status is the judgement on one object.
type Status struct {
	ID    object.ID `json:"id"`
	State State     `json:"state"`
	// Message says why, in a sentence for people; it may repeat what controllers
	// wrote into the object's conditions.
	Message string `json:"message,omitempty"`
}

// Judge says how a whole live object is, by the checks for its kind, else by
// kstatus. The object's numbers are int64 and float64; nil is NotFound.
func Judge(content map[string]any, checks Checks) Status {
	if content == nil {
		return Status{State: NotFound, Message: "it does not exist"}
	}
	u := &unstructured.Unstructured{Object: content}
	gvk := u.GroupVersionKind()
	s := Status{ID: object.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}}
	kind := s.ID.GroupKind()
	switch check, has := checks.byKind[kind]; {
	case u.GetDeletionTimestamp() != nil:
		s.State, s.Message = Terminating, "it is being deleted"
	case has:
		s.State, s.Message = check.judge(content)
	case kind == object.GroupKind{Group: "batch", Kind: "Job"}:
		s.State, s.Message = job(content)
	default:
		s.State, s.Message = compute(u)
	}
	return s
}

// compute is kstatus.
func compute(u *unstructured.Unstructured) (State, string) {
	result, err := status.Compute(u)
	if err != nil {
		return Unknown, fmt.Sprintf("its status cannot be read: %v", err)
	}
	switch result.Status {
	case status.CurrentStatus:
		return Current, result.Message
	case status.InProgressStatus:
		return InProgress, result.Message
	case status.FailedStatus:
		return Failed, result.Message
	case status.TerminatingStatus:
		return Terminating, result.Message
	case status.NotFoundStatus, status.UnknownStatus:
	}
	return Unknown, result.Message
}

// job judges a Job by its end: kstatus calls one that has begun current, which is
// of no use to whoever waits for what it does.
func job(content map[string]any) (State, string) {
	suspended, _, _ := unstructured.NestedBool(content, "spec", "suspend")
	conditions, _, _ := unstructured.NestedSlice(content, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["status"] != "True" {
			continue
		}
		reason, _ := condition["reason"].(string)
		message, _ := condition["message"].(string)
		switch condition["type"] {
		case "Complete":
			return Current, "the Job completed"
		case "Failed":
			return Failed, fmt.Sprintf("the Job failed: %s: %s", reason, message)
		}
	}
	if suspended {
		return Current, "the Job is suspended"
	}
	count := func(field string) int64 {
		n, _, _ := unstructured.NestedInt64(content, "status", field)
		return n
	}
	return InProgress, fmt.Sprintf("the Job runs: %d active, %d succeeded, %d failed", count("active"), count("succeeded"), count("failed"))
}

// Immediate says whether objects of a kind are current as soon as they exist, so
// that nobody need look at them: nothing works on them, or nothing that would show.
func (c Checks) Immediate(kind object.GroupKind) bool {
	if _, checked := c.byKind[kind]; checked {
		return false
	}
	switch kind.Group {
	case "":
		switch kind.Kind {
		case "ConfigMap", "Secret", "ServiceAccount", "LimitRange", "Endpoints", "PodTemplate", "Event":
			return true
		}
	case "rbac.authorization.k8s.io", "scheduling.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "node.k8s.io", "coordination.k8s.io":
		return true
	case "networking.k8s.io":
		return kind.Kind == "NetworkPolicy" || kind.Kind == "IngressClass"
	}
	return false
}
