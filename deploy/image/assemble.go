package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user is who runs in the image, by number, so that Kubernetes can see that it is not root.
const user = "65532:65532"

// assemble makes the image of a program. Time zones need no files: they are in the program.
func (r release) assemble(program string, bill []byte, arch string) (v1.Image, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	system, err := layer(r.created,
		file{"etc/passwd", 0o644, []byte("tidemark:x:65532:65532:Tidemark:/:/sbin/nologin\n")},
		file{"etc/group", 0o644, []byte("tidemark:x:65532:\n")},
		file{"etc/ssl/certs/ca-certificates.crt", 0o644, roots()},
	)
	if err != nil {
		return nil, err
	}
	own, err := layer(r.created,
		file{"tidemark", 0o755, content},
		file{"usr/share/doc/tidemark/sbom.cdx.json", 0o644, bill},
	)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: arch, OS: "linux", Created: v1.Time{Time: r.created},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
		Config: v1.Config{
			Entrypoint: []string{"/tidemark"}, Cmd: []string{"--help"}, User: user, WorkingDir: "/",
			Env:    []string{"PATH=/", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			Labels: r.labels(),
		},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image,
		mutate.Addendum{Layer: system, History: v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "certificates of authorities, and the user"}},
		mutate.Addendum{Layer: own, History: v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "tidemark " + r.version}},
	)
}

// labels are those that the OCI image specification names.
//
// https://github.com/opencontainers/image-spec/blob/main/annotations.md
func (r release) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "tidemark",
		"org.opencontainers.image.description": "GitOps without a controller",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.url":         "https://tidemark.dev/tidemark",
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.created":     r.created.Format(time.RFC3339),
	}
	if r.revision != "" {
		labels["org.opencontainers.image.revision"] = r.revision
	}
	return labels
}

// roots are the authorities that Mozilla trusts without constraint, which a file cannot hold.
func roots() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
		}
	}
	return text.Bytes()
}

type file struct {
	name    string
	mode    int64
	content []byte
}

// layer holds files of root's, and the folders that they lie in.
func layer(at time.Time, files ...file) (v1.Layer, error) {
	var archived bytes.Buffer
	archive := tar.NewWriter(&archived)
	made := map[string]bool{".": true}
	var folder func(string) error
	folder = func(name string) error {
		if made[name] {
			return nil
		}
		made[name] = true
		if err := folder(path.Dir(name)); err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: at})
	}
	for _, f := range files {
		err := errors.Join(
			folder(path.Dir(f.name)),
			archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: at}),
		)
		if err == nil {
			_, err = archive.Write(f.content)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archived.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}
