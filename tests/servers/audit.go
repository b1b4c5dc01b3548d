package servers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// AuditEvent is one request as the API server's audit log has it. A request makes one event with the stage
// ResponseComplete; a watch makes one with ResponseStarted before.
type AuditEvent struct {
	Stage        string
	Verb         string // get, list, watch, create, update, patch, delete, deletecollection
	User         string
	UserAgent    string
	RequestURI   string
	ObjectRef    ObjectRef
	ResponseCode int
	Received     time.Time
}

// ObjectRef names what a request was about; all empty for one that was not about a resource.
type ObjectRef struct {
	APIGroup, APIVersion, Resource, Subresource, Namespace, Name string
}

// IsWrite says whether the request was one that changes objects (a dry run looks like one too: see RequestURI).
func (e AuditEvent) IsWrite() bool {
	switch e.Verb {
	case "create", "update", "patch", "delete", "deletecollection":
		return true
	}
	return false
}

// Audit reads the requests that were answered since the mark, 0 being the start, and the mark to go on from. A request
// is in the log before its answer has ended. Options.Audit must be set.
func (c *ControlPlane) Audit(mark int64) (events []AuditEvent, next int64, err error) {
	if !c.options.Audit {
		return nil, mark, errors.New("read audit log: the control plane was started without Audit")
	}
	file, err := os.Open(c.file("audit.log"))
	if err != nil {
		return nil, mark, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || mark > info.Size() {
		return nil, mark, errors.Join(fmt.Errorf("read audit log: no mark %d", mark), err)
	}
	// A long log is not read again for its last lines.
	content, err := io.ReadAll(io.NewSectionReader(file, mark, math.MaxInt64-mark))
	if err != nil {
		return nil, mark, fmt.Errorf("read audit log: %w", err)
	}
	content = content[:bytes.LastIndexByte(content, '\n')+1] // the last line may be half written
	for line := range bytes.Lines(content) {
		var raw struct {
			Stage, Verb, UserAgent, RequestURI string
			User                               struct{ Username string }
			ObjectRef                          ObjectRef
			ResponseStatus                     struct{ Code int }
			RequestReceivedTimestamp           time.Time
		}
		if err := json.Unmarshal(line, &raw); err != nil {
			return nil, mark, fmt.Errorf("decode audit log: %w", err)
		}
		events = append(events, AuditEvent{
			Stage: raw.Stage, Verb: raw.Verb, User: raw.User.Username, UserAgent: raw.UserAgent,
			RequestURI: raw.RequestURI, ObjectRef: raw.ObjectRef, ResponseCode: raw.ResponseStatus.Code,
			Received: raw.RequestReceivedTimestamp,
		})
	}
	return events, mark + int64(len(content)), nil
}
