package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"tidemark.dev/tidemark/cmd/internal/app"
)

// call is what an event asks for: an order, and what started it.
type call struct {
	order   app.Order
	trigger string
}

// The triggers of a record.
const (
	schedule = "schedule"
	manual   = "manual"
	byEvent  = "lambda"
)

// event has what tells the events of AWS apart. An event only says that it is
// time to look: what it tells of repositories is not believed, since the run looks
// for itself.
type event struct {
	// Of EventBridge and its Scheduler.
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	// Of SNS and others that gather what they tell.
	Records []struct {
		Source string `json:"EventSource"`
	} `json:"Records"`
}

// read finds out what an event asks for. What is neither an event of EventBridge
// or SNS nor an order is an error.
func read(data []byte) (call, error) {
	data = bytes.TrimSpace(data)
	if len(data) == 0 || bytes.Equal(data, []byte("null")) {
		return call{trigger: manual}, nil
	}
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		return call{}, &app.UsageError{Message: fmt.Sprintf("read the event: %v", err)}
	}
	switch {
	case e.DetailType == "Scheduled Event" && (e.Source == "aws.events" || e.Source == "aws.scheduler"):
		return call{trigger: schedule}, nil
	case e.DetailType != "" && e.Source != "":
		return call{trigger: byEvent}, nil
	case len(e.Records) > 0:
		for _, record := range e.Records {
			if record.Source != "aws:sns" {
				return call{}, &app.UsageError{Message: fmt.Sprintf("the event has records of %q, not of aws:sns", record.Source)}
			}
		}
		return call{trigger: byEvent}, nil
	}
	order, err := app.ReadOrder(data)
	return call{order: order, trigger: manual}, err
}
