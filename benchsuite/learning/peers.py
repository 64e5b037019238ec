"""The same models in PyTorch and scikit-learn, on the same split as `examples/train.rs`.

    peers.py MODEL EPOCHS IMAGES LABELS [IMAGES LABELS ...]

Prints lines of the same form. THREADS (1), BATCH (128) and SEED (1) come from the environment, and
TRAIN, how many samples are trained on, the rest being tests; without it every fifth sample tests.
"""

import gzip
import os
import resource
import statistics
import sys
import time

import numpy

THREADS = int(os.environ.get("THREADS", "1"))
BATCH = int(os.environ.get("BATCH", "128"))
SEED = int(os.environ.get("SEED", "1"))
PREDICTIONS = 5  # as in `examples/train.rs`
DEEP = ("lstm", "cnn1d", "cnn2d")
AVERAGES = ("micro", "macro", "weighted")


def idx(path, header, shape):
    return numpy.frombuffer(gzip.open(path).read(), numpy.uint8, offset=header).reshape(shape)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def read(files):
    images = numpy.concatenate([idx(path, 16, (-1, 784)) for path in files[::2]])
    labels = numpy.concatenate([idx(path, 8, (-1,)) for path in files[1::2]]).astype(numpy.int64)
    rows = numpy.arange(len(labels))
    test = rows >= int(os.environ["TRAIN"]) if "TRAIN" in os.environ else rows % 5 == 0
    return images, labels, test


def network(name, classes):
    from torch import nn

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(28, 128, batch_first=True)
            self.dense = nn.Linear(128, classes)
            self.start()

        def start(self):
            """As Keras and ours begin: Glorot, orthogonal, 1 for what is not forgotten at first.
            The second bias stays 0, since two whose sum counts move twice as fast under Adam."""
            nn.init.xavier_uniform_(self.lstm.weight_ih_l0)
            for gate in self.lstm.weight_hh_l0.data.split(128):
                nn.init.orthogonal_(gate)
            nn.init.zeros_(self.lstm.bias_ih_l0)
            self.lstm.bias_ih_l0.data[128:256] = 1
            nn.init.zeros_(self.lstm.bias_hh_l0).requires_grad_(False)
            nn.init.xavier_uniform_(self.dense.weight)
            nn.init.zeros_(self.dense.bias)

        def forward(self, x):
            return self.dense(self.lstm(x.view(-1, 28, 28))[0][:, -1])

    if name == "lstm":
        return Lstm()
    if name == "cnn1d":
        return nn.Sequential(
            nn.Unflatten(1, (1, 784)),
            nn.Conv1d(1, 32, 25, padding=12),
            nn.ReLU(),
            nn.MaxPool1d(3, 3, padding=1),
            nn.Conv1d(32, 64, 25, padding=12),
            nn.ReLU(),
            nn.MaxPool1d(3, 3, padding=1),
            nn.Flatten(),
            nn.Linear(64 * 88, 1024),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(1024, classes),
        )
    if name == "cnn2d":
        return nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 1024),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(1024, classes),
        )
    raise SystemExit(f"no network {name}")


def timed(predict):
    """What it predicts, and the medians of wall and CPU seconds; the first time is a warm-up."""
    chances, times = predict(), []
    for _ in range(PREDICTIONS):
        wall, used = time.perf_counter(), cpu()
        predict()
        times.append((time.perf_counter() - wall, cpu() - used))
    return chances, *(statistics.median(column) for column in zip(*times))


def deep(name, epochs, images, labels, test, classes, seed=SEED, batch_size=BATCH):
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
    model = network(name, classes)
    x = torch.from_numpy(images[~test].copy())
    y = torch.from_numpy(labels[~test])
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.001)
    for epoch in range(epochs):
        wall, used = time.time(), cpu()
        model.train()
        total = right = 0
        order = torch.randperm(len(y))
        for batch in order.split(batch_size):
            scores = model(x[batch].float() / 255)
            loss = torch.nn.functional.cross_entropy(scores, y[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.item() * len(batch)
            right += (scores.argmax(1) == y[batch]).sum().item()
        print(
            f"epoch {epoch + 1} loss {total / len(y):.4f} accuracy {right / len(y):.4f} "
            f"wall {time.time() - wall:.2f} cpu {cpu() - used:.2f}",
            flush=True,
        )
    model.eval()
    held = torch.from_numpy(images[test].copy())

    def predict():
        with torch.inference_mode():
            return torch.cat([model(part.float() / 255).softmax(1) for part in held.split(BATCH)]).numpy()

    return timed(predict)


def shallow(name, epochs, images, labels, test, seed=SEED):
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    model = {
        "forest": lambda: RandomForestClassifier(100, random_state=seed, n_jobs=THREADS),
        "logistic": lambda: LogisticRegression(max_iter=epochs),
        "boosted": lambda: HistGradientBoostingClassifier(max_iter=epochs, random_state=seed),
        "nearest": lambda: KNeighborsClassifier(1),
    }[name]()
    scale = 255.0 if name == "logistic" else 1.0
    x, y = images[~test] / numpy.float32(scale), labels[~test]
    held = images[test] / numpy.float32(scale)
    wall, used = time.time(), cpu()
    model.fit(x, y)
    right = numpy.nan
    print(
        f"epoch 1 loss nan accuracy {right} wall {time.time() - wall:.2f} cpu {cpu() - used:.2f}",
        flush=True,
    )
    return timed(lambda: model.predict_proba(held))


def scores(chances, labels):
    """Accuracy, and F1 micro, macro and weighted."""
    from sklearn.metrics import f1_score

    answers = chances.argmax(1)
    averages = [f1_score(labels, answers, average=how, zero_division=0) for how in AVERAGES]
    return [float((answers == labels).mean()), *map(float, averages)]


def main():
    name, epochs, files = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    images, labels, test = read(files)
    classes = int(labels.max()) + 1
    print(f"{len(labels)} samples, {(~test).sum()} for training, {classes} classes")
    if name in DEEP:
        result = deep(name, epochs, images, labels, test, classes)
    else:
        result = shallow(name, epochs, images, labels, test)
    chances, wall, used = result
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    accuracy, *averages = scores(chances, labels[test])
    print(
        f"test accuracy {accuracy:.6f} predict wall {wall:.4f} cpu {used:.4f} "
        f"({test.sum() / wall:.0f}/s) size 0 peak {peak:.0f} MB"
    )
    print("f1 micro {:.6f} macro {:.6f} weighted {:.6f}".format(*averages))


if __name__ == "__main__":
    main()
