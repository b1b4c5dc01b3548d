package servers

import "fmt"

// ObjectPath gives the REST path of an object; the kind is written small ("configmap"), and the namespace is ignored where
// the kind has none. Only the kinds that tests speak of are known.
func ObjectPath(kind, namespace, name string) (string, error) {
	k, known := map[string]struct {
		api, plural string
		global      bool
	}{
		"namespace":                {"/api/v1", "namespaces", true},
		"configmap":                {"/api/v1", "configmaps", false},
		"event":                    {"/api/v1", "events", false},
		"pod":                      {"/api/v1", "pods", false},
		"secret":                   {"/api/v1", "secrets", false},
		"service":                  {"/api/v1", "services", false},
		"serviceaccount":           {"/api/v1", "serviceaccounts", false},
		"persistentvolumeclaim":    {"/api/v1", "persistentvolumeclaims", false},
		"deployment":               {"/apis/apps/v1", "deployments", false},
		"statefulset":              {"/apis/apps/v1", "statefulsets", false},
		"job":                      {"/apis/batch/v1", "jobs", false},
		"lease":                    {"/apis/coordination.k8s.io/v1", "leases", false},
		"role":                     {"/apis/rbac.authorization.k8s.io/v1", "roles", false},
		"clusterrole":              {"/apis/rbac.authorization.k8s.io/v1", "clusterroles", true},
		"customresourcedefinition": {"/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", true},
	}[kind]
	switch {
	case !known:
		return "", fmt.Errorf("where %s/%s is served is not known", kind, name)
	case k.global:
		return k.api + "/" + k.plural + "/" + name, nil
	}
	return k.api + "/namespaces/" + namespace + "/" + k.plural + "/" + name, nil
}
