"""Official releases of data sets in miniature, as bytes: every quirk that has been seen, noise as pixels."""

import io
import json

import numpy as np
import scipy.io
from data_trees import encoded, write_images
from PIL import Image


def mat_of(**variables):
    """The bytes of a MATLAB file."""
    file = io.BytesIO()
    scipy.io.savemat(file, variables)
    return file.getvalue()


def pose_of(pitch, yaw, roll):
    """Pose_Para, (1, 7): three angles in radians, in this order, then the translation and the scale."""
    return np.array([[*np.radians([pitch, yaw, roll]), 220.62047, 192.67966, -94.718636, 1.2381887e-03]])


def lp_mat(pitch=0.0, yaw=0.0, roll=0.0, points=((20, 30), (40, 50))):
    """A file of 300W-LP: 68 landmarks, here all at these two points, and the parameters of the face model."""
    places = np.array([points[number % 2] for number in range(68)], dtype=np.float64).T
    sizes = {"roi": (1, 4), "Shape_Para": (199, 1), "Exp_Para": (29, 1), "Color_Para": (1, 7), "Illum_Para": (1, 10)}
    others = {name: np.zeros(size) for name, size in sizes.items()}
    return mat_of(Pose_Para=pose_of(pitch, yaw, roll), pt2d=places, Tex_Para=np.zeros((199, 1)), **others)


def aflw_mat(pitch=0.0, yaw=0.0, roll=0.0, points=((20, 30), (40, 50)), invisible=2, cloud=None):
    """A file of AFLW2000-3D: AFLW's landmarks, -1 where they cannot be seen, and 68 points in space."""
    places = [*points, *[(-1, -1)] * invisible]
    cloud = np.zeros((3, 68)) if cloud is None else cloud
    return mat_of(Pose_Para=pose_of(pitch, yaw, roll), pt2d=np.array(places, dtype=np.float64).T, pt3d_68=cloud)


LP_FACES = {  # name: (pitch, yaw, roll)
    "AFW/AFW_134212_1_0": (-9.39, -8.41, 0.92),
    "AFW/AFW_134212_1_1": (-9.0, -48.0, 1.0),
    "AFW/AFW_134212_2_0": (5.0, 10.0, -20.0),
    "HELEN/HELEN_100032540_1_0": (1.0, 2.0, 3.0),
    "IBUG/IBUG_image_003_1_0": (0.0, 99.0, 0.0),
    "IBUG/IBUG_image_003_1_9": (0.0, 99.5, 0.0),
    "LFPW/LFPW_image_train_0001_0": (0.0, -30.0, 0.0),
    "LFPW/LFPW_image_train_0001_1": (0.0, -60.0, 0.0),
}


def write_lp(root, place="300W_LP"):
    """300W-LP: four parts, their mirrored copies, landmark files, and MATLAB code with a picture."""
    folder = root / place
    for name, pose in LP_FACES.items():
        write_images(folder, f"{name}.jpg")
        (folder / f"{name}.mat").write_bytes(lp_mat(*pose))
        part, stem = name.split("/")
        write_images(folder, f"{part}_Flip/{stem}.jpg")
        (folder / f"{part}_Flip/{stem}.mat").write_bytes(lp_mat(pose[0], -pose[1], -pose[2]))
        landmarks = folder / "landmarks" / part
        landmarks.mkdir(parents=True, exist_ok=True)
        (landmarks / f"{stem}_pts.mat").write_bytes(mat_of(pts_2d=np.zeros((68, 2)), pts_3d=np.zeros((68, 2))))
    write_images(folder, "Code/Mex/sample.jpg")
    (folder / "Code/Mex/sample.mat").write_bytes(lp_mat())
    (folder / "Code/main.m").write_text("% MATLAB")
    return root


AFLW_FACES = {"image00002": (-9.39, -8.41, 0.92), "image00004": (10.0, 20.0, 30.0), "image00006": (0.0, 100.0, 0.0)}


def write_aflw(root, place="AFLW2000"):
    """AFLW2000-3D: numbers with holes, one face beyond 99 degrees, and code."""
    for name, pose in AFLW_FACES.items():
        write_images(root / place, f"{name}.jpg")
        (root / place / f"{name}.mat").write_bytes(aflw_mat(*pose))
    (root / place / "Code").mkdir()
    (root / place / "Code/demo.m").write_text("% MATLAB")
    write_images(root / place, "Code/demo.jpg")
    return root


FAIRFACE_HEADER = "file,age,gender,race,service_test"
FAIRFACE = {  # split: lines of its list; every age, the two that Excel takes for dates among them
    "train": [
        "train/1.jpg,50-59,Male,East Asian,True",
        "train/2.jpg,30-39,Female,Indian,False",
        "train/3.jpg,0-2,Female,Black,False",
        "train/4.jpg,3-9,Female,White,True",
        "train/5.jpg,10-19,Male,Middle Eastern,True",
        "train/6.jpg,more than 70,Male,Latino_Hispanic,False",
    ],
    "val": ["val/1.jpg,3-9,Male,Southeast Asian,False", "val/2.jpg,20-29,Female,East Asian,True"],
}
FAIRFACE_FOLDER = "fairface-img-margin{}-trainval"


def write_fairface(root, places=("",), sides=(224,), lists=FAIRFACE, header=FAIRFACE_HEADER):
    """FairFace: images of each padding below a folder of its own or none, and a list for each split."""
    for place, side in zip(places, sides, strict=True):
        for split in lists:
            for line in FAIRFACE[split]:
                name = line.split(",")[0]
                (root / place / name).parent.mkdir(parents=True, exist_ok=True)
                (root / place / name).write_bytes(encoded(sum(name.encode()), side=side))
    for split, lines in lists.items():
        (root / f"fairface_label_{split}.csv").write_text("\n".join([header, *lines]) + "\n")
    return root


FERPLUS_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
FERPLUS = [  # lines of fer2013new.csv; the first ten are the public file's first, the others were made up
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
    "Training,fer0000001.png,6,0,1,1,0,0,0,0,2,0",
    "Training,fer0000002.png,5,0,0,3,1,0,0,0,1,0",
    "Training,fer0000003.png,4,0,0,4,1,0,0,0,1,0",
    "Training,fer0000004.png,9,0,0,1,0,0,0,0,0,0",
    "Training,fer0000005.png,6,0,0,1,0,0,1,1,1,0",
    "Training,fer0000006.png,2,0,0,8,0,0,0,0,0,0",
    "Training,fer0000007.png,0,10,0,0,0,0,0,0,0,0",
    "Training,fer0000008.png,0,10,0,0,0,0,0,0,0,0",
    "Training,fer0000009.png,0,0,6,0,0,0,4,0,0,0",
    "Training,,0,0,0,0,0,0,0,0,0,10",  # no face: no name
    "Training,fer0000011.png,1,0,0,0,0,0,8,0,0,1",  # fear
    "Training,fer0000012.png,0,0,0,0,1,2,0,7,0,0",  # contempt
    "Training,fer0000013.png,0,0,0,0,0,9,0,0,1,0",  # disgust
    "Training,fer0000014.png,1,1,1,1,1,1,1,1,1,1",  # nothing but single votes
    "Training,fer0000015.png,0,0,0,2,0,0,0,0,8,0",  # unknown
    "PublicTest,fer0000016.png,0,0,0,0,9,0,1,0,0,0",
    "PublicTest,fer0000017.png,3,0,4,1,1,0,0,0,1,0",
    "PrivateTest,fer0000018.png,0,0,0,0,2,1,0,7,0,0",
    "PrivateTest,fer0000019.png,0,0,1,1,1,0,7,0,0,0",
]


def write_ferplus(root, votes="fer2013new.csv", pixels="fer2013.csv", lines=FERPLUS):
    """FER+: the votes of Microsoft beside the pixels of FER2013, whose own labels are others."""
    rows = ["emotion,pixels,Usage"]
    for number, line in enumerate(lines):
        values = np.random.default_rng(number).integers(0, 256, 48 * 48)
        rows.append(f'{number % 7},"{" ".join(map(str, values))}",{line.split(",")[0]}')
    for name, content in ((votes, [FERPLUS_HEADER, *lines]), (pixels, rows)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("\n".join(content) + "\n")
    return root


FERPLUS_FOLDERS = {"Training": "FER2013Train", "PublicTest": "FER2013Valid", "PrivateTest": "FER2013Test"}


def write_ferplus_folders(root, lines=FERPLUS):
    """FER+ as Microsoft's script leaves it: three folders of images, each with a list of boxes and votes."""
    for line in lines:
        usage, name, *votes = line.split(",")
        if name:
            write_images(root / FERPLUS_FOLDERS[usage], name, kind="PNG")
            with open(root / FERPLUS_FOLDERS[usage] / "label.csv", "a") as file:
                file.write(f'{name},"(0, 0, 48, 48)",{",".join(votes)}\n')
    return root


RAFDB = {"train_00001": 5, "train_00002": 4, "train_00003": 1, "train_00004": 2, "train_00005": 3, "train_00006": 6,
         "train_00007": 7, "train_00008": 4, "test_0001": 4, "test_0002": 7}  # fmt: skip


def write_rafdb(root, place="basic", images=("aligned", "original")):
    """RAF-DB, basic: one list of both splits, its name misspelled as in the release."""
    folder = root / place
    for kind in images:
        ending = "_aligned" if kind == "aligned" else ""
        write_images(folder, *[f"Image/{kind}/{name}{ending}.jpg" for name in RAFDB])
    (folder / "EmoLabel").mkdir(parents=True)
    lines = [f"{name}.jpg {code}" for name, code in RAFDB.items()]
    (folder / "EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")
    annotation = folder / "Annotation/manual"
    annotation.mkdir(parents=True)
    (annotation / "train_00001_manu_attri.txt").write_text("0 1 2\n")
    return root


def write_rafdb_repack(root, place="DATASET"):
    """RAF-DB as it is passed on: folders of the codes, and two lists."""
    for split in ("train", "test"):
        names = {f"{name}_aligned.jpg": code for name, code in RAFDB.items() if name.startswith(split)}
        for name, code in names.items():
            write_images(root / place, f"{split}/{code}/{name}")
        lines = ["image,label", *(f"{name},{code}" for name, code in names.items())]
        (root / f"{split}_labels.csv").write_text("\n".join(lines) + "\n")
    return root


JAFFE_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
JAFFE_PEOPLE = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")


def jaffe_names(people=JAFFE_PEOPLE):
    """A photograph of every person and expression; numbers have holes."""
    count = len(JAFFE_CODES)
    return [f"{person}.{code}1.{39 + 2 * (count * row + place)}"
            for row, person in enumerate(people) for place, code in enumerate(JAFFE_CODES)]  # fmt: skip


def write_jaffe(root, place="jaffe", people=JAFFE_PEOPLE):
    """JAFFE: uncompressed TIFF of one channel, a text about it, and what a Mac leaves."""
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(jaffe_names(people)):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.tiff")
    (folder / "README_FIRST.txt").write_text("The images may not be redistributed.\n")
    (folder / ".DS_Store").write_bytes(b"Bud1")
    return root


CKPLUS = {  # sequence: (frames, code of its label or None); numbers of frames are not always contiguous
    "S005_001": ((1, 2, 3, 4), 3), "S010_001": ((1, 2, 3), 7), "S010_002": ((1, 2, 3, 5), 7),
    "S010_004": ((1, 2), None),
    "S011_001": ((1, 2, 3), 1), "S014_001": ((1, 2, 3, 4), 5), "S022_003": ((1, 2, 3), 2),
    "S022_005": ((1, 3, 4), 4), "S026_001": ((1, 2, 3), 6),
}  # fmt: skip


def landmark_lines(corners=((4, 6), (12, 14))):
    """68 points whose box these corners span, as MATLAB prints numbers."""
    points = [corners[number % 2] for number in range(68)]
    return "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points)


def write_ckplus(root, images="cohn-kanade-images", emotions="Emotion", corners=((4, 6), (12, 14))):
    """CK+: four trees of the same shape; a label beside the last frame alone, an empty folder where there is none."""
    for sequence, (frames, code) in CKPLUS.items():
        place = sequence.replace("_", "/")
        names = [f"{sequence}_{number:08d}" for number in frames]
        write_images(root / images / place, *[f"{name}.png" for name in names], kind="PNG")
        for folder in ("Landmarks", emotions, "FACS"):
            (root / folder / place).mkdir(parents=True, exist_ok=True)
        for name in names:
            (root / "Landmarks" / place / f"{name}_landmarks.txt").write_text(landmark_lines(corners))
        if code is not None:
            (root / emotions / place / f"{names[-1]}_emotion.txt").write_text(f"   {code:.7e}\n")
        (root / "FACS" / place / f"{names[-1]}_facs.txt").write_text("   4.0000000e+00   0.0000000e+00\n")
    (root / images / "S005" / ".DS_Store").write_bytes(b"Bud1")
    (root / "Emotion" / ".DS_Store").parent.mkdir(exist_ok=True)
    (root / "Emotion" / ".DS_Store").write_bytes(b"Bud1")
    return root


CKPLUS_FOLDERS = ("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


def write_ckplus_repack(root, place="CK+48"):
    """CK+ as it is passed on: a folder a class, the last three frames of each labelled sequence."""
    for sequence, (frames, code) in CKPLUS.items():
        if code is not None:
            names = [f"{sequence}_{number:08d}.png" for number in frames[-3:]]
            write_images(root / place / CKPLUS_FOLDERS[code], *names, kind="PNG")
    return root


AFEW_VA = {  # clip: (actor, [(valence, arousal) of each frame])
    "001": ("Ann", [(-2.0, 3.0), (-3.0, 4.0), (-10.0, 10.0)]),
    "002": ("Bob", [(0, 0), (1, -1)]),
    "051": ("Ann", [(5, 5), (6, 4), (7, 3), (8, 2)]),
    "052": ("Cem", [(2, 1), (3, 1)]),
    "600": ("Dee", [(-5, 0), (-4, 0)]),
}


def write_afew_va(root, place="", parts=False):
    """AFEW-VA: a folder a clip, its frames from 0 and one file of their labels, whole numbers as floats too."""
    for clip, (actor, labels) in AFEW_VA.items():
        folder = root / place / (f"{1 + int(clip) // 50:02d}" if parts else "") / clip
        frames = {}
        for number, (valence, arousal) in enumerate(labels):
            write_images(folder, f"{number:05d}.png", kind="PNG")
            points = [[4.0 + 8 * (point % 2), 6.0 + 8 * (point % 2)] for point in range(68)]
            frames[f"{number:05d}"] = {"arousal": arousal, "valence": valence, "landmarks": points}
        content = {"actor": actor, "video_id": clip, "frames": frames}
        (folder / f"{clip}.json").write_text(json.dumps(content))
    return root
