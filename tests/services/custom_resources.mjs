// Checks objects of KEDA and of the Prometheus operator with the schemas of their definitions.
//   node custom_resources.mjs MANIFESTS.yaml      prints what is wrong; 1 if anything is
import fs from "node:fs";
import * as yaml from "js-yaml";

const packages = {
  "keda.sh/v1alpha1": "@kubernetes-models/keda/keda.sh/v1alpha1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
};
const problems = [];
let checked = 0;
for (const object of yaml.loadAll(fs.readFileSync(process.argv[2], "utf8"))) {
  const path = object && packages[object.apiVersion];
  if (!path) continue;
  const found = await import(path).catch(() => import(`${path}/index.js`));
  const Model = (found.default ?? found)[object.kind] ?? found[object.kind];
  const name = `${object.kind} ${object.metadata.name}`;
  checked += 1;
  if (!Model) {
    problems.push(`${name}: no such kind`);
    continue;
  }
  try {
    new Model(object).validate();
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
}
console.log(problems.length ? problems.join("\n") : `${checked} custom resources are valid`);
process.exit(problems.length ? 1 : 0);
