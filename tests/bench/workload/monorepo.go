package workload

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// The shape of an app of the monorepo: of its files, those in the folder deploy are what it is made of.
const (
	filesPerApp   = 40
	objectsPerApp = 5
	namespaces    = 10
)

// Monorepo is one repository of many apps, each with forty files of which some are its manifests. Each fifth app is a
// kustomization over a base that lies beside the apps.
type Monorepo struct {
	// Dir is the repository's work tree.
	Dir string
	// Apps are the names of the apps.
	Apps []string
}

// NewMonorepo writes a repository of that many apps to the folder.
func NewMonorepo(dir string, apps int) (Monorepo, error) {
	m := Monorepo{Dir: dir}
	for i := range apps {
		m.Apps = append(m.Apps, fmt.Sprintf("app-%03d", i))
	}
	all := map[string]string{
		"bases/web/kustomization.yaml":  "resources: [serviceaccount.yaml]\n",
		"bases/web/serviceaccount.yaml": "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web\nautomountServiceAccountToken: false\n",
	}
	for i, app := range m.Apps {
		read := m.manifests(i, "info")
		maps.Copy(all, read)
		noise := noise(app, "file", i)
		for n := len(read); n < filesPerApp; n++ {
			path := fmt.Sprintf("apps/%s/src/pkg%d/file%02d.txt", app, n%4, n)
			for range 1 + noise.IntN(120) {
				all[path] += letters(noise, 40+noise.IntN(40)) + "\n"
			}
		}
	}
	for path, text := range all {
		if err := write(filepath.Join(dir, filepath.FromSlash(path)), text); err != nil {
			return m, err
		}
	}
	return m, nil
}

// Files is how many files the apps have.
func (m Monorepo) Files() int { return len(m.Apps) * filesPerApp }

// Objects is how many objects the apps have.
func (m Monorepo) Objects() int { return len(m.Apps) * objectsPerApp }

// Namespaces are those that the apps lie in.
func (m Monorepo) Namespaces() []string {
	var all []string
	for i := range namespaces {
		all = append(all, fmt.Sprintf("mono-%d", i))
	}
	return all
}

// Path is the folder that the app is rendered from.
func (m Monorepo) Path(app int) string { return "apps/" + m.Apps[app] + "/deploy" }

// Namespace is where the app lies.
func (m Monorepo) Namespace(app int) string { return fmt.Sprintf("mono-%d", app%namespaces) }

// Touch edits one value of the app.
func (m Monorepo) Touch(app, round int) error {
	for path, text := range m.manifests(app, fmt.Sprintf("round-%d", round)) {
		if filepath.Base(path) == "config.yaml" {
			return write(filepath.Join(m.Dir, filepath.FromSlash(path)), text)
		}
	}
	return fmt.Errorf("app %d has no config.yaml", app)
}

// Drifted is the object of the app that the bench edits by hand, as the path of the API; the edit goes to its field
// data.level.
func (m Monorepo) Drifted(app int) string {
	return "/api/v1/namespaces/" + m.Namespace(app) + "/configmaps/" + m.Apps[app]
}

// RemoveTenth removes one object of every other app, and Restore brings them back.
func (m Monorepo) RemoveTenth() error {
	for i := range m.Apps {
		if i%2 == 0 {
			continue
		}
		if err := write(filepath.Join(m.Dir, filepath.FromSlash(m.Path(i)), "extra.yaml"), "# gone\n"); err != nil {
			return err
		}
	}
	return nil
}

// Restore writes all manifests as they were first.
func (m Monorepo) Restore() error {
	for i := range m.Apps {
		for path, text := range m.manifests(i, "info") {
			if err := write(filepath.Join(m.Dir, filepath.FromSlash(path)), text); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sizes gives the bytes of the app's own files: its manifests.
func (m Monorepo) Sizes(app int) (bytes int64, err error) {
	entries, err := os.ReadDir(filepath.Join(m.Dir, filepath.FromSlash(m.Path(app))))
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return bytes, err
}

func (m Monorepo) manifests(i int, level string) map[string]string {
	app, namespace, dir := m.Apps[i], m.Namespace(i), m.Path(i)+"/"
	all := map[string]string{
		dir + "deployment.yaml": mono("apps/v1", "Deployment", app) + podSpec(app),
		dir + "service.yaml":    mono("v1", "Service", app) + "spec:\n  selector:\n    app: " + app + "\n  ports:\n  - name: http\n    port: 80\n    targetPort: http\n",
		dir + "config.yaml": mono("v1", "ConfigMap", app) + fmt.Sprintf("data:\n  level: %s\n  key: %s\n  salt: %s\n", level,
			letters(noise(app, "key", i), 500), letters(noise(app, "salt", i), 500)),
		dir + "extra.yaml": mono("v1", "ConfigMap", app+"-extra") + "data:\n  more: " + letters(noise(app, "more", i), 200) + "\n",
	}
	if i%5 == 0 {
		all[dir+"kustomization.yaml"] = "namespace: " + namespace + "\nnameSuffix: \"\"\nresources: [deployment.yaml, service.yaml, config.yaml, extra.yaml, ../../../bases/web]\npatches:\n- target: {kind: ServiceAccount}\n  options: {allowNameChange: true}\n  patch: |\n    - {op: replace, path: /metadata/name, value: " + app + "}\n"
	} else {
		all[dir+"serviceaccount.yaml"] = mono("v1", "ServiceAccount", app) + "automountServiceAccountToken: false\n"
	}
	return all
}

// mono is the head of an object that names no namespace: the app's is taken.
func mono(apiVersion, kind, name string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  labels:\n    app.kubernetes.io/name: %s\n", apiVersion, kind, name, name)
}

func podSpec(app string) string {
	return fmt.Sprintf(`spec:
  replicas: 2
  selector:
    matchLabels:
      app: %[1]s
  template:
    metadata:
      labels:
        app: %[1]s
    spec:
      serviceAccountName: %[1]s
      containers:
      - name: main
        image: registry.example.test/mono/%[1]s:v1.0.0
        ports:
        - name: http
          containerPort: 8080
        envFrom:
        - configMapRef:
            name: %[1]s
        resources:
          requests:
            cpu: 50m
            memory: 64Mi
`, app)
}
