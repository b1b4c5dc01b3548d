package reconcile

import (
	"encoding/json"

	"tidemark.dev/tidemark/state"
)

// redact takes credentials out of JSON that is about to be stored. None should
// be there: it is the last line of defence (law 7).
func (r *runner) redact(data []byte) []byte {
	if r.job.Redact == nil {
		return data
	}
	return []byte(r.job.Redact(string(data)))
}

// redacted gives a record without credentials.
func (r *runner) redacted(record state.Record) state.Record {
	if r.job.Redact == nil {
		return record
	}
	data, err := json.Marshal(record)
	if err != nil {
		return record // it is a value of plain fields
	}
	var clean state.Record
	if err := json.Unmarshal(r.redact(data), &clean); err != nil {
		return state.Record{Run: record.Run, Verdict: record.Verdict, Exit: record.Exit, Message: "the record cannot be shown: a credential stands in its structure"}
	}
	return clean
}
