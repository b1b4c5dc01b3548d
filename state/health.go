package state

import (
	"time"

	"tidemark.dev/tidemark/render/object"
)

// Health is how the objects of an app are, as far as they are waited for.
type Health string

// What can be found of an app.
const (
	Healthy Health = "healthy"
	// Pending: the run had to end while there was time left. The next run goes on.
	Pending Health = "pending"
	// Unhealthy: an object failed, or time ran out.
	Unhealthy Health = "unhealthy"
)

// AppHealth is what a run found of an app after it was applied.
type AppHealth struct {
	Verdict Health `json:"verdict"`
	// Since is when the wait began, maybe in a run before.
	Since time.Time `json:"since"`
	// Current of Objects looked at are healthy.
	Current int `json:"current"`
	Total   int `json:"total"`
	// Objects are those that are not, the failed first; the first of them only
	// where they are many.
	Objects []ObjectHealth `json:"objects,omitempty"`
}

// ObjectHealth is how one object is.
type ObjectHealth struct {
	ID object.ID `json:"id"`
	// State is inProgress, failed, terminating, notFound or unknown.
	State   string `json:"state"`
	Message string `json:"message,omitempty"`
	// Evidence is gathered of the first objects, once they are not waited for any
	// more; nil where it was not.
	Evidence *Evidence `json:"evidence,omitempty"`
}

// Evidence is what was seen of an object that is not healthy, and of its pods:
// little, and without the values of Secrets.
type Evidence struct {
	Conditions []Condition `json:"conditions,omitempty"`
	// Events are the newest, oldest first.
	Events []Event `json:"events,omitempty"`
	Logs   []Log   `json:"logs,omitempty"`
	// Missing says what could not be looked at, and why.
	Missing []string `json:"missing,omitempty"`
}

// Condition is one of an object's status.conditions.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Event is what a controller told of an object.
type Event struct {
	Object  object.ID `json:"object"`
	Last    time.Time `json:"last,omitzero"`
	Count   int64     `json:"count,omitempty"`
	Type    string    `json:"type,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
}

// Log is the end of what a container wrote.
type Log struct {
	Pod       string `json:"pod"`
	Container string `json:"container"`
	// Previous: of the container before, which ended.
	Previous bool     `json:"previous,omitempty"`
	Lines    []string `json:"lines"`
}
