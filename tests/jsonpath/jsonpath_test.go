package jsonpath_test

import (
	"testing"

	"tidemark.dev/tidemark/tests/jsonpath"
)

func TestAt(t *testing.T) {
	document, err := jsonpath.Document(`{"apps": [{"name": "shop", "count": 12345678901234567890}, {"id": {"name": "x"}}], "labels": {"a.b/c": "d"}, "on": true}`)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"apps[shop].count": "12345678901234567890", "apps[0].name": "shop", "apps[x].id": `{"name":"x"}`, "apps.length": "2",
		"labels[a.b/c]": "d", "on": "true", "apps[7]": "", "apps[shop].none": "", "on.more": "",
	} {
		value, found := jsonpath.At(document, path)
		if found != (want != "") || found && jsonpath.Text(value) != want {
			t.Errorf("at %s: got %v (%t), want %q", path, value, found, want)
		}
	}
}

func TestDocumentRefuses(t *testing.T) {
	for _, text := range []string{"", "{", "{} {}"} {
		if document, err := jsonpath.Document(text); err == nil {
			t.Errorf("%q is read as %v, want an error", text, document)
		}
	}
}
