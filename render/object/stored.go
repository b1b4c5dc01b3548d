package object

import (
	"encoding/base64"
	"maps"
)

// Stored gives a Secret as the server keeps it, with what stringData says in data,
// and any other object as it is. The server would note the fields of stringData as
// the applier's, which nobody ever takes over: who writes data afterwards would go
// unseen. What is no text is left for the server to refuse.
func (o Object) Stored() Object {
	texts, given := o.content["stringData"].(map[string]any)
	if !o.IsSecret() || !given {
		return o
	}
	data, isMap := o.content["data"].(map[string]any)
	if o.content["data"] != nil && !isMap {
		return o
	}
	encoded := make(map[string]any, len(data)+len(texts))
	maps.Copy(encoded, data)
	for key, value := range texts {
		text, isText := value.(string)
		if !isText {
			return o
		}
		encoded[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	o.content = maps.Clone(o.content)
	delete(o.content, "stringData")
	o.content["data"] = encoded
	return o
}
