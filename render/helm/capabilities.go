package helm

import (
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
)

// helmVersion is what templates see as .Capabilities.HelmVersion.Version: that
// of the Helm module this package is built with.
const helmVersion = "v4.3.1"

// capabilities gives what templates see as .Capabilities: what the app pins,
// else what the cluster told.
func capabilities(options Options, known Capabilities) (*common.Capabilities, error) {
	version, versions := known.KubeVersion, known.APIVersions
	if options.KubeVersion != "" {
		version, versions = options.KubeVersion, nil
	}
	if version == "" {
		return nil, ErrNoCapabilities
	}
	kube, err := common.ParseKubeVersion(version)
	if err != nil {
		return nil, fmt.Errorf("kubeVersion %q: %w", version, err)
	}
	if versions == nil {
		versions = builtIn(kube.Minor)
	}
	for _, v := range options.APIVersions {
		if parts := strings.Split(v, "/"); v == "" || len(parts) > 3 || slices.Contains(parts, "") {
			return nil, fmt.Errorf("apiVersions: %q is neither GROUP/VERSION nor GROUP/VERSION/KIND", v)
		}
	}
	all := slices.Concat(versions, options.APIVersions)
	slices.Sort(all)
	helm := common.DefaultCapabilities.HelmVersion
	helm.Version = helmVersion
	return &common.Capabilities{KubeVersion: *kube, APIVersions: slices.Compact(all), HelmVersion: helm}, nil
}
