package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// runtimeAPI is Lambda's runtime API, version 2018-06-01: it gives one invocation
// after the other, and takes what came of each.
type runtimeAPI struct {
	// base is the URL below which its resources are.
	base   string
	client *http.Client
}

func newRuntime(host string) runtimeAPI {
	// The question for the next invocation has no bound: Lambda freezes the process
	// until there is one.
	return runtimeAPI{base: "http://" + host + "/2018-06-01/runtime/", client: &http.Client{}}
}

// invocation is one call of the function.
type invocation struct {
	id string
	// deadline is when Lambda ends the process.
	deadline time.Time
	// function is the ARN that was called.
	function string
	event    []byte
}

// next waits for an invocation.
func (r runtimeAPI) next(ctx context.Context) (invocation, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"invocation/next", nil)
	if err != nil {
		return invocation{}, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return invocation{}, fmt.Errorf("ask for the next invocation: %w", err)
	}
	event, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return invocation{}, fmt.Errorf("read the next invocation: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return invocation{}, fmt.Errorf("ask for the next invocation: %s", response.Status)
	}
	call := invocation{id: response.Header.Get("Lambda-Runtime-Aws-Request-Id"), function: response.Header.Get("Lambda-Runtime-Invoked-Function-Arn"), event: event}
	if call.id == "" {
		return invocation{}, errors.New("the next invocation has no id")
	}
	deadline, err := strconv.ParseInt(response.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	if err != nil {
		return invocation{}, fmt.Errorf("read the deadline of the invocation: %w", err)
	}
	call.deadline = time.UnixMilli(deadline)
	return call, nil
}

// fault is an error as Lambda takes it.
type fault struct {
	Message string   `json:"errorMessage"`
	Type    string   `json:"errorType"`
	Stack   []string `json:"stackTrace"`
}

// answer ends an invocation that did its work.
func (r runtimeAPI) answer(ctx context.Context, id string, body []byte) error {
	return r.post(ctx, "invocation/"+id+"/response", "", body)
}

// fail ends an invocation that did not, so that Lambda counts it as an error.
func (r runtimeAPI) fail(ctx context.Context, id string, f fault) error {
	return r.postFault(ctx, "invocation/"+id+"/error", f)
}

// failInit says that no invocation will be taken.
func (r runtimeAPI) failInit(ctx context.Context, f fault) error {
	return r.postFault(ctx, "init/error", f)
}

func (r runtimeAPI) postFault(ctx context.Context, resource string, f fault) error {
	f.Stack = []string{}
	body, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return r.post(ctx, resource, f.Type, body)
}

func (r runtimeAPI) post(ctx context.Context, resource, fault string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+resource, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if fault != "" {
		request.Header.Set("Lambda-Runtime-Function-Error-Type", fault)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return fmt.Errorf("answer Lambda: %w", err)
	}
	_, err = io.Copy(io.Discard, response.Body) // so that the connection serves again
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("answer Lambda: %w", err)
	}
	if response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answer Lambda: %s", response.Status)
	}
	return nil
}
