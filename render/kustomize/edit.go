package kustomize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/yaml"
)

// edit gives a kustomization with the options written into it, and the build
// metadata that the file itself asks for. Kustomize is always asked to name the
// origin of each object.
func edit(file string, written []byte, o Options) (edited []byte, metadata []string, err error) {
	k, err := parse(file, written)
	if err != nil {
		return nil, nil, err
	}
	data, err := yaml.YAMLToJSON(written)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, discreet(err))
	}
	// Fields are set in the file as it was written, not in the parsed struct:
	// what is not ours to set stays as it is.
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, discreet(err))
	}
	for field, value := range map[string]string{"namespace": o.Namespace, "namePrefix": o.NamePrefix, "nameSuffix": o.NameSuffix} {
		if value != "" {
			fields[field] = value
		}
	}
	if len(o.Images) > 0 {
		fields["images"] = images(k.Images, o.Images)
		delete(fields, "imageTags") // parsed into k.Images
	}
	if len(o.Patches) > 0 {
		fields["patches"] = appended(fields["patches"], o.Patches)
	}
	if len(o.Components) > 0 {
		fields["components"] = appended(fields["components"], o.Components)
	}
	if !slices.Contains(k.BuildMetadata, types.OriginAnnotations) {
		fields["buildMetadata"] = append(slices.Clone(k.BuildMetadata), types.OriginAnnotations)
	}
	edited, err = json.Marshal(fields)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	return edited, k.BuildMetadata, nil
}

func appended[T any](list any, added []T) []any {
	all, _ := list.([]any)
	all = slices.Clone(all)
	for _, value := range added {
		all = append(all, value)
	}
	return all
}

// images gives the images of a kustomization with those of the options, which
// replace images of the same name.
func images(written []types.Image, added []Image) []types.Image {
	all := slices.Clone(written)
	for _, image := range added {
		all = slices.DeleteFunc(all, func(i types.Image) bool { return i.Name == image.Name })
		all = append(all, types.Image{Name: image.Name, NewName: image.NewName, NewTag: image.NewTag, TagSuffix: image.TagSuffix, Digest: image.Digest})
	}
	return all
}

// parse reads a kustomization as Kustomize itself does, deprecated fields
// turned into those that replaced them.
func parse(file string, data []byte) (types.Kustomization, error) {
	var k types.Kustomization
	if err := k.Unmarshal(data); err != nil {
		return k, fmt.Errorf("%s: %w", file, discreet(err))
	}
	k.FixKustomization()
	if err := k.CheckEmpty(); err != nil {
		return k, fmt.Errorf("%s: is empty", file)
	}
	if wrong := k.EnforceFields(); len(wrong) > 0 {
		return k, fmt.Errorf("%s: %s", file, wrong[0])
	}
	return k, nil
}
