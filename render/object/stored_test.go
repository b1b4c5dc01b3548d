package object_test

import (
	"encoding/json"
	"testing"

	"tidemark.dev/tidemark/render/object"
)

func TestStored(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"k":"eA==","l":"eQ=="},"stringData":{"k":"z"}}`: `{"apiVersion":"v1","data":{"k":"eg==","l":"eQ=="},"kind":"Secret","metadata":{"name":"a"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"k":1}}`:                                  "",
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":"x","stringData":{"k":"z"}}`:                     "",
		`{"apiVersion":"v1","kind":"Other","metadata":{"name":"a"},"stringData":{"k":"z"}}`:                                 "",
	} {
		var content map[string]any
		if err := json.Unmarshal([]byte(in), &content); err != nil {
			t.Fatal(err)
		}
		o, err := object.New(content, object.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		before, _ := o.JSON()
		got, err := o.Stored().JSON()
		if want == "" {
			want = string(before)
		}
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s (%v), want %s", in, got, err, want)
		}
		if after, _ := o.JSON(); string(after) != string(before) {
			t.Errorf("%s was edited: %s", in, after)
		}
	}
}
