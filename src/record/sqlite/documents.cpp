// Evidence, data sets, models and artifacts.

#include <fmt/format.h>

#include "base/ids.hpp"
#include "base/text.hpp"
#include "record/sqlite/sqlite_store.hpp"

namespace joulery::record::sqlite {
namespace {

/// Replaces nothing but adds or overwrites by key.
Status put_pairs(Database& database, std::string_view sql, std::int64_t owner,
                 const std::map<std::string, std::string>& pairs) {
  for (const auto& [key, value] : pairs) {
    JOULERY_ASSIGN(Statement put, database.prepare(sql));
    JOULERY_CHECK_OK(put.bind(owner).bind(key).bind(value).run());
  }
  return {};
}

Status read_pairs(Database& database, std::string_view sql, std::int64_t owner,
                  std::map<std::string, std::string>& pairs) {
  JOULERY_ASSIGN(Statement select, database.prepare(sql));
  select.bind(owner);
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return {};
    pairs.emplace(select.text(0), select.text(1));
  }
}

std::span<const std::uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Status SqliteStore::put_evidence(const Evidence& evidence) {
  if (evidence.subject.empty() || evidence.type.empty())
    return user_error("evidence needs a subject and a type");
  if (sha256_hex(evidence.json) != evidence.sha256) {
    return user_error(fmt::format("the evidence '{}' about {} does not match its SHA-256 and is not stored",
                                  printable(evidence.type), printable(evidence.subject)),
                      "it was changed after it was hashed; get it again from where it was made");
  }
  return write([&]() -> Status {
    JOULERY_ASSIGN(Statement put,
                   database_->prepare("INSERT INTO evidence (subject, type, version, json, sha256, "
                                      "created_utc_ns) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"));
    put.bind(evidence.subject).bind(evidence.type).bind(evidence.version).bind(as_bytes(evidence.json));
    return put.bind(evidence.sha256).bind(evidence.created_utc_ns).run();
  });
}

Result<std::vector<Evidence>> SqliteStore::evidence(const std::string& subject) {
  std::vector<Evidence> all;
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT type, version, json, sha256, created_utc_ns FROM evidence "
                                    "WHERE subject = ? ORDER BY created_utc_ns, id"));
  select.bind(subject);
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return all;
    Evidence evidence;
    evidence.subject = subject;
    evidence.type = select.text(0);
    evidence.version = static_cast<int>(select.integer(1));
    const auto json = select.blob(2);
    evidence.json.assign(reinterpret_cast<const char*>(json.data()), json.size());
    evidence.sha256 = select.text(3);
    evidence.created_utc_ns = select.integer(4);
    if (sha256_hex(evidence.json) != evidence.sha256) {
      return environment_error(
          fmt::format("the evidence '{}' about {} does not match its SHA-256: it was changed in the "
                      "store or the store is damaged",
                      printable(evidence.type), printable(subject)),
          "do not rely on it; make it again, or restore the store from a backup");
    }
    all.push_back(std::move(evidence));
  }
}

Status SqliteStore::put_dataset_input(const std::string& run_id, const DatasetInput& input) {
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, true));
    JOULERY_ASSIGN(Statement put,
                   database_->prepare("INSERT INTO datasets (experiment, name, digest, source_type, source, "
                                      "schema, profile) SELECT experiment, ?, ?, ?, ?, ?, ? FROM runs WHERE "
                                      "id = ? ON CONFLICT DO NOTHING"));
    put.bind(input.name).bind(input.digest).bind(input.source_type).bind(input.source).bind(input.schema);
    JOULERY_CHECK_OK(put.bind(input.profile).bind(run).run());
    JOULERY_ASSIGN(Statement join,
                   database_->prepare("INSERT INTO inputs (run, dataset) SELECT r.id, d.id FROM runs r JOIN "
                                      "datasets d ON d.experiment = r.experiment WHERE r.id = ? AND d.name "
                                      "= ? AND d.digest = ? ON CONFLICT DO NOTHING"));
    JOULERY_CHECK_OK(join.bind(run).bind(input.name).bind(input.digest).run());
    JOULERY_ASSIGN(Statement select,
                   database_->prepare("SELECT i.id FROM inputs i JOIN datasets d ON d.id = i.dataset "
                                      "WHERE i.run = ? AND d.name = ? AND d.digest = ?"));
    JOULERY_ASSIGN(const bool row, select.bind(run).bind(input.name).bind(input.digest).step());
    if (!row) return internal_error(fmt::format("data set '{}' vanished", printable(input.name)));
    return put_pairs(
        *database_,
        "INSERT INTO input_tags (input, name, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = "
        "excluded.value",
        select.integer(0), input.tags);
  });
}

Result<std::vector<DatasetInput>> SqliteStore::dataset_inputs(const std::string& run_id) {
  JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, false));
  std::vector<DatasetInput> inputs;
  JOULERY_ASSIGN(
      Statement select,
      database_->prepare("SELECT i.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile FROM "
                         "inputs i JOIN datasets d ON d.id = i.dataset WHERE i.run = ? ORDER BY i.id"));
  select.bind(run);
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return inputs;
    DatasetInput input;
    input.name = select.text(1);
    input.digest = select.text(2);
    input.source_type = select.text(3);
    input.source = select.text(4);
    input.schema = select.text(5);
    input.profile = select.text(6);
    JOULERY_CHECK_OK(read_pairs(*database_, "SELECT name, value FROM input_tags WHERE input = ?",
                                select.integer(0), input.tags));
    inputs.push_back(std::move(input));
  }
}

Status SqliteStore::put_model(const LoggedModel& model) {
  if (model.id.empty()) return user_error("a model needs an id");
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t experiment, experiment_row(model.experiment));
    JOULERY_ASSIGN(
        Statement put,
        database_->prepare("INSERT INTO models (uuid, experiment, name, model_type, source_run_id, "
                           "artifact_uri, status, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
                           "(uuid) DO UPDATE SET experiment = excluded.experiment, name = excluded.name, "
                           "model_type = excluded.model_type, source_run_id = excluded.source_run_id, "
                           "artifact_uri = excluded.artifact_uri, status = excluded.status"));
    put.bind(model.id).bind(experiment).bind(model.name).bind(model.model_type).bind(model.source_run_id);
    JOULERY_CHECK_OK(put.bind(model.artifact_uri).bind(model.status).bind(model.created_ms).run());
    JOULERY_ASSIGN(const auto row, find("SELECT id FROM models WHERE uuid = ?", model.id));
    if (!row) return internal_error(fmt::format("model '{}' vanished", printable(model.id)));
    JOULERY_CHECK_OK(
        put_pairs(*database_,
                  "INSERT INTO model_tags (model, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
                  "value = excluded.value",
                  *row, model.tags));
    return put_pairs(
        *database_,
        "INSERT INTO model_params (model, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = "
        "excluded.value",
        *row, model.params);
  });
}

Result<std::optional<LoggedModel>> SqliteStore::model(const std::string& id) {
  JOULERY_ASSIGN(Statement select,
                 database_->prepare("SELECT m.id, m.uuid, e.name, m.name, m.model_type, m.source_run_id, "
                                    "m.artifact_uri, m.status, m.created_ms FROM models m JOIN "
                                    "experiments e ON e.id = m.experiment WHERE m.uuid = ?"));
  JOULERY_ASSIGN(const bool row, select.bind(id).step());
  if (!row) return std::optional<LoggedModel>();
  LoggedModel model;
  model.id = select.text(1);
  model.experiment = select.text(2);
  model.name = select.text(3);
  model.model_type = select.text(4);
  model.source_run_id = select.text(5);
  model.artifact_uri = select.text(6);
  model.status = select.text(7);
  model.created_ms = select.integer(8);
  const std::int64_t id_row = select.integer(0);
  JOULERY_CHECK_OK(
      read_pairs(*database_, "SELECT key, value FROM model_tags WHERE model = ?", id_row, model.tags));
  JOULERY_CHECK_OK(
      read_pairs(*database_, "SELECT key, value FROM model_params WHERE model = ?", id_row, model.params));
  return model;
}

Status SqliteStore::put_artifact(const Artifact& artifact) {
  if (artifact.path.empty()) return user_error("an artifact needs a path");
  return write([&]() -> Status {
    JOULERY_ASSIGN(const std::int64_t run, run_row(artifact.run_id, true));
    JOULERY_ASSIGN(
        Statement put,
        database_->prepare("INSERT INTO artifacts (run, path, size_bytes, sha256) VALUES (?, ?, ?, "
                           "?) ON CONFLICT DO UPDATE SET size_bytes = excluded.size_bytes, sha256 "
                           "= excluded.sha256"));
    return put.bind(run).bind(artifact.path).bind(artifact.size_bytes).bind(artifact.sha256).run();
  });
}

Result<std::vector<Artifact>> SqliteStore::artifacts(const std::string& run_id) {
  JOULERY_ASSIGN(const std::int64_t run, run_row(run_id, false));
  std::vector<Artifact> artifacts;
  JOULERY_ASSIGN(
      Statement select,
      database_->prepare("SELECT path, size_bytes, sha256 FROM artifacts WHERE run = ? ORDER BY path"));
  select.bind(run);
  while (true) {
    JOULERY_ASSIGN(const bool row, select.step());
    if (!row) return artifacts;
    artifacts.push_back(
        {run_id, select.text(0), static_cast<std::uint64_t>(select.integer(1)), select.text(2)});
  }
}

}  // namespace joulery::record::sqlite
