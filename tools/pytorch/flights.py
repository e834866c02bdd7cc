#!/usr/bin/env python3
"""What others reach on the set `flights`: scikit-learn's gradient boosting and a PyTorch net, on the split of the set.

The net is the `mlp` of configs/flights.toml: an embedding for each category, and beside them the standardised numbers and
a flag for each number that is missing in training rows; hidden layers with rectifiers and dropout; two logits and
cross-entropy; AdamW with a cosine schedule. Each peer is trained with several seeds; what is printed is each seed's
accuracy and AUC on the test rows, then the mean and the standard deviation.

Run:  pip install scikit-learn==1.9.1 torch pandas
      python3 tools/pytorch/flights.py
"""

import argparse
import math
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score

SET = Path(__file__).resolve().parents[2] / "datasets" / "flights"
CATEGORIES = ["month", "day", "weekday", "hour", "carrier", "flight", "tailnum", "origin", "dest"]
NUMBERS = ["distance", "humid", "pressure"]
# scikit-learn takes at most 255 categories for a column.
MOST_BOOSTED = 254


def read(part: str) -> pd.DataFrame:
    return pd.read_csv(SET / f"{part}.csv.gz", dtype={name: str for name in CATEGORIES}, keep_default_na=False,
                       na_values={name: [""] for name in NUMBERS})


def boosted(parts: list[pd.DataFrame], seed: int) -> np.ndarray:
    """The probability of a late arrival for each test row, by gradient boosting that stops by the validation rows."""
    train, validation, test = (part[CATEGORIES + NUMBERS].copy() for part in parts)
    for name in CATEGORIES:
        known = train[name].value_counts().index[:MOST_BOOSTED]
        for part in (train, validation, test):
            part[name] = pd.Categorical(part[name].where(part[name].isin(known)), categories=known)
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", learning_rate=0.05, max_iter=1000, early_stopping=True, n_iter_no_change=20,
        random_state=seed)
    model.fit(train, parts[0]["late"], X_val=validation, y_val=parts[1]["late"])
    return model.predict_proba(test)[:, 1]


class Table:
    """Rows as the net sees them, by the training rows' vocabularies, means and deviations."""

    def __init__(self, train: pd.DataFrame, rare: int):
        self.vocabularies = []
        first = 0
        for name in CATEGORIES:
            counts = train[name][train[name] != ""].value_counts()
            # The first row of a column is that of the unknown, the missing and the rare.
            known = sorted(counts[counts >= rare].index)
            self.vocabularies.append((first, {value: first + 1 + row for row, value in enumerate(known)}))
            first += 1 + len(known)
        self.embedded_rows = first
        self.missing = [name for name in NUMBERS if train[name].isna().any()]
        self.mean = train[NUMBERS].mean().to_numpy()
        self.std = train[NUMBERS].std(ddof=0).to_numpy()

    def rows(self, part: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        numbers = np.nan_to_num((part[NUMBERS].to_numpy() - self.mean) / self.std)
        flags = part[self.missing].isna().to_numpy()
        columns = [part[name].map(lambda value: vocabulary.get(value, unknown)).to_numpy()
                   for name, (unknown, vocabulary) in zip(CATEGORIES, self.vocabularies)]
        return (torch.tensor(np.stack(columns, 1)), torch.tensor(np.concatenate([numbers, flags], 1), dtype=torch.float32),
                torch.tensor(part["late"].to_numpy()))


class Net(torch.nn.Module):
    """All columns of categories share one table of embeddings. Starting values are drawn as Frugal draws them."""

    def __init__(self, table: Table, settings: argparse.Namespace):
        super().__init__()
        self.embedding = torch.nn.Embedding(table.embedded_rows, settings.embedding)
        torch.nn.init.uniform_(self.embedding.weight, -0.1 * 3**0.5, 0.1 * 3**0.5)
        inputs = len(CATEGORIES) * settings.embedding + len(NUMBERS) + len(table.missing)
        layers = []
        for outputs in settings.hidden:
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU(), torch.nn.Dropout(settings.dropout)]
            inputs = outputs
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(inputs, 2))
        for layer in self.layers:
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.kaiming_uniform_(layer.weight)
                torch.nn.init.zeros_(layer.bias)

    def forward(self, categories: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([self.embedding(categories).flatten(1), numbers], 1))


def neural(parts: list[pd.DataFrame], seed: int, settings: argparse.Namespace) -> np.ndarray:
    """The probability of a late arrival for each test row, by the net after its last epoch."""
    torch.manual_seed(seed)
    table = Table(parts[0], settings.rare)
    train, _, test = (table.rows(part) for part in parts)
    net = Net(table, settings)
    optimizer = torch.optim.AdamW(net.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    batches = math.ceil(len(train[0]) / settings.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.epochs * batches)
    for _ in range(settings.epochs):
        net.train()
        for batch in torch.randperm(len(train[0])).split(settings.batch):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(train[0][batch], train[1][batch]), train[2][batch])
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()
    with torch.no_grad():
        return net(test[0], test[1]).softmax(1)[:, 1].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-2)
    parser.add_argument("--hidden", type=int, nargs="*", default=[128, 64])
    parser.add_argument("--embedding", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--rare", type=int, default=20, help="categories of fewer training rows count as unknown")
    parser.add_argument("--judge", choices=["validation", "test"], default="test", help="which rows are evaluated")
    parser.add_argument("--no-boosting", action="store_true")
    settings = parser.parse_args()
    parts = [read(part) for part in ["train", "validation", "test"]]
    if settings.judge == "validation":
        parts[2] = parts[1]
    truth = parts[2]["late"]
    peers = {"PyTorch": lambda seed: neural(parts, seed, settings)}
    if not settings.no_boosting:
        peers = {"scikit-learn": lambda seed: boosted(parts, seed), **peers}
    print(f"{len(truth)} rows, {100 * truth.mean():.2f} % of them late")
    for name, peer in peers.items():
        results = []
        begin = time.perf_counter()
        for seed in range(settings.seeds):
            late = peer(seed)
            results.append((100 * accuracy_score(truth, late > 0.5), 100 * roc_auc_score(truth, late)))
            print(f"{name} seed {seed}: accuracy {results[-1][0]:.2f} %, AUC {results[-1][1]:.2f} %")
        seconds = (time.perf_counter() - begin) / settings.seeds
        for index, metric in enumerate(["accuracy", "AUC"]):
            values = [result[index] for result in results]
            print(f"{name}: {metric} {statistics.mean(values):.2f} ± {statistics.pstdev(values):.2f} %")
        print(f"{name}: {seconds:.1f} s per run")


if __name__ == "__main__":
    main()
