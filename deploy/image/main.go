// Command image builds Tidemark's container image, for each platform, without a container engine:
//
//	go run . -out ../../bin/image -version v1.2.3 -revision COMMIT -created 2026-01-02T15:04:05Z
//
// It leaves there
//
//	oci/                 an OCI image layout: one index of all platforms
//	tidemark-ARCH.tar    the image of one platform, as docker load and ctr image import take it
//	sbom-ARCH.cdx.json   what went into it, as CycloneDX
//	tidemark-ARCH        the program itself
//	digest               the digest of the index
//
// The same sources, Go and flags give the same bytes, wherever they lie and whenever it is done.
//
// It is a module of its own, so that nothing of it weighs on what is shipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	r := release{}
	out := flag.String("out", "bin/image", "the `folder` to write to")
	arches := flag.String("arch", "amd64,arm64", "which `architectures`, as Go names them")
	flag.StringVar(&r.root, "root", "../..", "the checkout's `folder`")
	flag.StringVar(&r.version, "version", "dev", "the `version` that it bears")
	flag.StringVar(&r.revision, "revision", "", "the `commit` that it was built from")
	created := flag.String("created", "1970-01-01T00:00:00Z", "the `time` that it bears, which must not be now for it to be the same again")
	flag.Parse()
	at, err := time.Parse(time.RFC3339, *created)
	if err == nil {
		r.created = at.UTC()
		var digest v1.Hash
		if digest, err = r.build(context.Background(), *out, strings.Split(*arches, ",")); err == nil {
			_, err = fmt.Fprintf(os.Stdout, "tidemark:%s %s\n", r.tag(), digest)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build the image:", err)
		os.Exit(1) //nolint:forbidigo // It is a command.
	}
}

// release is one version of the sources.
type release struct {
	root, version, revision string
	created                 time.Time
}

// tag is the version as an image can be tagged with it.
func (r release) tag() string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", c) {
			return c
		}
		return '-'
	}, r.version)
}

// build leaves everything in a folder, which it makes anew, and gives the digest of the index.
func (r release) build(ctx context.Context, out string, arches []string) (v1.Hash, error) {
	if err := os.RemoveAll(out); err != nil {
		return v1.Hash{}, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // It holds nothing secret.
		return v1.Hash{}, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range arches {
		image, err := r.one(ctx, out, arch)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	path, err := layout.Write(filepath.Join(out, "oci"), empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.tag()})); err != nil {
		return v1.Hash{}, err
	}
	digest, err := index.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	return digest, os.WriteFile(filepath.Join(out, "digest"), []byte(digest.String()+"\n"), 0o644) //nolint:gosec // for all to read
}

// one builds the program and the image of one platform.
func (r release) one(ctx context.Context, out, arch string) (v1.Image, error) {
	program := filepath.Join(out, "tidemark-"+arch)
	if err := r.compile(ctx, program, arch); err != nil {
		return nil, err
	}
	bill, err := r.bill(program)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(out, "sbom-"+arch+".cdx.json"), bill, 0o644); err != nil { //nolint:gosec // for all to read
		return nil, err
	}
	image, err := r.assemble(program, bill, arch)
	if err != nil {
		return nil, err
	}
	tag, err := name.NewTag("tidemark:" + r.tag())
	if err != nil {
		return nil, err
	}
	return image, tarball.WriteToFile(filepath.Join(out, "tidemark-"+arch+".tar"), tag, image)
}
