package preflight

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The parts of the OCI image format that are looked at.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Annotations map[string]string `json:"annotations"`
		Platform    *struct {
			Architecture string `json:"architecture"`
			OS           string `json:"os"`
		} `json:"platform"`
	}
	index struct {
		Manifests []descriptor `json:"manifests"`
	}
	manifest struct {
		Config descriptor   `json:"config"`
		Layers []descriptor `json:"layers"`
	}
	imageConfig struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Config       struct {
			Env        []string `json:"Env"`
			Entrypoint []string `json:"Entrypoint"`
			Cmd        []string `json:"Cmd"`
			WorkingDir string   `json:"WorkingDir"`
		} `json:"config"`
	}
)

const (
	maxJSON  = 4 << 20
	maxDepth = 3 // indices within indices
	tagKey   = "org.opencontainers.image.ref.name"
)

// Layout looks at an image in an OCI image layout on disk: name is DIR or DIR:TAG. Its programs and libraries are unpacked to
// a temporary folder.
func Layout(name string) (r *Report, err error) {
	dir, tag := name, ""
	if _, err := os.Stat(name); err != nil {
		if i := strings.LastIndex(name, ":"); i > 0 {
			dir, tag = name[:i], name[i+1:]
		}
	}
	fail := func(err error) (*Report, error) { return nil, fmt.Errorf("look at the image %s: %w", name, err) }
	l := layout(dir)
	m, err := l.manifest(tag)
	if err != nil {
		return fail(err)
	}
	var config imageConfig
	if err := l.json(m.Config.Digest, &config); err != nil {
		return fail(err)
	}
	c := command{append(append([]string{}, config.Config.Entrypoint...), config.Config.Cmd...), config.Config.Env, config.Config.WorkingDir}
	if len(c.args) == 0 {
		return fail(errors.New("it names no program: neither Entrypoint nor Cmd is set"))
	}
	if config.OS != "linux" || config.Architecture != "amd64" {
		r := &Report{Command: c.args}
		r.add(Certain, c.args[0], "the image is for %s/%s, and this version monitors linux/amd64 alone", config.OS, config.Architecture)
		return r, nil
	}
	tmp, err := os.MkdirTemp("", "monmod-check-")
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	u, err := newUnpacker(tmp)
	if err != nil {
		return fail(err)
	}
	defer u.close()
	for _, layer := range m.Layers {
		path, err := l.blob(layer.Digest)
		if err == nil {
			err = u.layer(path, layer.Digest)
		}
		if err != nil {
			return fail(err)
		}
	}
	if r, err = look(tmp, c, u.setuid); err != nil {
		return fail(err)
	}
	return r, nil
}

// layout is the folder of an image layout.
type layout string

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// blob gives the file of a digest, which is somebody's text until it has the form.
func (l layout) blob(digest string) (string, error) {
	if !digestForm.MatchString(digest) {
		return "", fmt.Errorf("%q is no sha256 digest", digest)
	}
	return filepath.Join(string(l), "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")), nil
}

func (l layout) json(digest string, into any) error {
	path, err := l.blob(digest)
	if err != nil {
		return err
	}
	data, err := readFile(path, maxJSON)
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(data); "sha256:"+hex.EncodeToString(sum[:]) != digest {
		return fmt.Errorf("%s is not what its name says: copy the image again", path)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// manifest finds the image of a tag, or the only one.
func (l layout) manifest(tag string) (*manifest, error) {
	file := filepath.Join(string(l), "index.json")
	data, err := readFile(file, maxJSON)
	if err != nil {
		return nil, fmt.Errorf("it is no OCI image layout (make one with: skopeo copy docker://IMAGE oci:DIR:TAG): %w", err)
	}
	var top index
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var tags []string
	var chosen []descriptor
	for _, d := range top.Manifests {
		tags = append(tags, d.Annotations[tagKey])
		if tag == "" || d.Annotations[tagKey] == tag {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) != 1 {
		return nil, fmt.Errorf("there are %d images, with the tags %q: name one as %s:TAG", len(top.Manifests), tags, l)
	}
	return l.follow(chosen[0], maxDepth)
}

// follow goes down to the manifest for this processor.
func (l layout) follow(d descriptor, depth int) (*manifest, error) {
	if !strings.Contains(d.MediaType, "index") && !strings.Contains(d.MediaType, "manifest.list") {
		m := &manifest{}
		return m, l.json(d.Digest, m)
	}
	if depth == 0 {
		return nil, fmt.Errorf("more than %d indices lie within each other", maxDepth)
	}
	var in index
	if err := l.json(d.Digest, &in); err != nil {
		return nil, err
	}
	for _, d := range in.Manifests {
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == "amd64" {
			return l.follow(d, depth-1)
		}
	}
	return nil, errors.New("it has no variant for linux/amd64")
}
