package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
)

const (
	// maxUnpacked bounds the files of a chart with all its subcharts, in bytes.
	maxUnpacked = 100 << 20
	// maxFiles bounds their number.
	maxFiles = 20_000
)

var errTooLarge = fmt.Errorf("the chart is larger than %d MiB or %d files", maxUnpacked>>20, maxFiles)

// budget is what a chart may still take: bytes and files.
type budget struct {
	bytes int64
	files int
}

func newBudget() *budget { return &budget{bytes: maxUnpacked, files: maxFiles} }

func (b *budget) file(size int64) error {
	b.files--
	b.bytes -= size
	if b.files < 0 || b.bytes < 0 {
		return errTooLarge
	}
	return nil
}

// metered counts what an archive unpacks to, whether it is used or skipped.
type metered struct {
	from io.Reader
	left *budget
}

func (m metered) Read(data []byte) (int, error) {
	n, err := m.from.Read(data)
	if m.left.bytes -= int64(n); m.left.bytes < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// unpack gives the files of a packaged chart without the folder they stand in.
func unpack(data []byte, left *budget) ([]*archive.BufferedFile, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("not a packaged chart: %w", err)
	}
	contents := tar.NewReader(metered{from: unzipped, left: left})
	var files []*archive.BufferedFile
	for {
		header, err := contents.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := left.file(0); err != nil {
			return nil, err
		}
		switch header.Typeflag {
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		case tar.TypeReg:
		default:
			return nil, fmt.Errorf("%q is neither a file nor a directory", header.Name)
		}
		name, err := inside(header.Name)
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(contents)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", header.Name, err)
		}
		files = append(files, &archive.BufferedFile{Name: name, Data: withoutMark(content)})
	}
	if len(files) == 0 {
		return nil, errors.New("the archive holds no files")
	}
	return files, nil
}

// inside gives the path of a file in its chart: that in the archive without the
// chart's own folder.
func inside(name string) (string, error) {
	_, rest, found := strings.Cut(strings.ReplaceAll(name, `\`, "/"), "/")
	cleaned := path.Clean(rest)
	if !found || cleaned == "." || path.IsAbs(cleaned) || cleaned == ".." || strings.HasPrefix(cleaned, "../") {
		return "", fmt.Errorf("%q is not in the chart's folder", name)
	}
	return cleaned, nil
}

// subchartArchive matches the path of an archive that Helm takes for a subchart.
var subchartArchive = regexp.MustCompile(`^((?:charts/[^/_.][^/]*/)*charts)/([^/_.][^/]*)\.tgz$`)

// unpackSubcharts puts the files of packaged subcharts in the place of their
// archives.
func unpackSubcharts(files []*archive.BufferedFile, left *budget, depth int) ([]*archive.BufferedFile, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d archives in each other", maxDepth)
	}
	folders := map[string]bool{}
	for _, f := range files {
		folders[path.Dir(f.Name)] = true
	}
	var all []*archive.BufferedFile
	for _, f := range files {
		match := subchartArchive.FindStringSubmatch(f.Name)
		if match == nil {
			all = append(all, f)
			continue
		}
		packed, err := unpack(f.Data, left)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if packed, err = unpackSubcharts(packed, left, depth+1); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		folder := path.Join(match[1], match[2])
		for folders[folder] {
			folder += "+"
		}
		for _, p := range packed {
			all = append(all, &archive.BufferedFile{Name: path.Join(folder, p.Name), Data: p.Data})
		}
	}
	return all, nil
}
